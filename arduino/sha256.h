// SHA-256 (FIPS 180-4) and HMAC (RFC 2104): the tag of binary datagrams. Small and portable rather than fast; a
// board hashes a few kilobytes a second.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace semg {

class Sha256 {
 public:
  static const size_t BLOCK_BYTES = 64;
  static const size_t DIGEST_BYTES = 32;

  Sha256() : total_(0) {
    static const uint32_t INITIAL[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(state_, INITIAL, sizeof(state_));
  }

  void update(const uint8_t *bytes, size_t size) {
    while (size > 0) {
      const size_t filled = (size_t)(total_ % BLOCK_BYTES);
      const size_t taken = size < BLOCK_BYTES - filled ? size : BLOCK_BYTES - filled;
      memcpy(block_ + filled, bytes, taken);
      total_ += taken;
      bytes += taken;
      size -= taken;
      if (filled + taken == BLOCK_BYTES) {
        compress();
      }
    }
  }

  // Ends the message; the object is of no further use.
  void finish(uint8_t digest[DIGEST_BYTES]) {
    const uint64_t bits = total_ * 8;
    static const uint8_t PADDING[BLOCK_BYTES] = {0x80};
    const size_t filled = (size_t)(total_ % BLOCK_BYTES);
    update(PADDING, (filled < 56 ? 56 : 120) - filled);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
      length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    update(length, sizeof(length));
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
      digest[i] = (uint8_t)(state_[i / 4] >> (24 - 8 * (i % 4)));
    }
  }

 private:
  static uint32_t rotated(uint32_t word, int places) { return (word >> places) | (word << (32 - places)); }

  void compress() {
    static const uint32_t ROUND[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[16];  // the message schedule needs only its last 16 words: 64 bytes of stack instead of 256
    for (int i = 0; i < 16; i++) {
      w[i] = (uint32_t)block_[4 * i] << 24 | (uint32_t)block_[4 * i + 1] << 16 | (uint32_t)block_[4 * i + 2] << 8 |
             block_[4 * i + 3];
    }
    uint32_t v[8];  // a to h
    memcpy(v, state_, sizeof(v));
    for (int i = 0; i < 64; i++) {
      if (i >= 16) {
        const uint32_t early = w[(i + 1) & 15], late = w[(i + 14) & 15];
        w[i & 15] += (rotated(early, 7) ^ rotated(early, 18) ^ (early >> 3)) + w[(i + 9) & 15] +
                     (rotated(late, 17) ^ rotated(late, 19) ^ (late >> 10));
      }
      const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
      const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
      const uint32_t first =
          v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) + choice + ROUND[i] + w[i & 15];
      const uint32_t second = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) + majority;
      memmove(v + 1, v, 7 * sizeof(v[0]));
      v[4] += first;
      v[0] = first + second;
    }
    for (int i = 0; i < 8; i++) {
      state_[i] += v[i];
    }
  }

  uint32_t state_[8];
  uint64_t total_;  // bytes so far
  uint8_t block_[BLOCK_BYTES];
};

// A key with the two hash states that every tag starts from: they are computed once, not per datagram.
class HmacKey {
 public:
  HmacKey() {}

  void set(const uint8_t *key, size_t size) {
    uint8_t padded[Sha256::BLOCK_BYTES] = {};
    if (size > sizeof(padded)) {
      Sha256 hash;
      hash.update(key, size);
      hash.finish(padded);
    } else {
      memcpy(padded, key, size);
    }
    inner_ = start(padded, 0x36);
    outer_ = start(padded, 0x5c);
  }

  void tag(const uint8_t *bytes, size_t size, uint8_t digest[Sha256::DIGEST_BYTES]) const {
    Sha256 hash = inner_;
    hash.update(bytes, size);
    hash.finish(digest);
    hash = outer_;
    hash.update(digest, Sha256::DIGEST_BYTES);
    hash.finish(digest);
  }

 private:
  static Sha256 start(const uint8_t padded[Sha256::BLOCK_BYTES], uint8_t mask) {
    uint8_t block[Sha256::BLOCK_BYTES];
    for (size_t i = 0; i < sizeof(block); i++) {
      block[i] = padded[i] ^ mask;
    }
    Sha256 hash;
    hash.update(block, sizeof(block));
    return hash;
  }

  Sha256 inner_;
  Sha256 outer_;
};

}  // namespace semg
