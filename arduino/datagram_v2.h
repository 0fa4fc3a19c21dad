// The binary datagram, version 2 (docs/wire.md): header, int16 samples, and the tag that proves which board sent it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sha256.h"

namespace semg {

const size_t V2_MAX_BYTES = 1400;
const size_t V2_HEADER_BYTES = 40;
const size_t V2_TAG_BYTES = 16;
const size_t V2_KEY_BYTES = 32;
const size_t V2_MAX_SAMPLES = 255;
const uint8_t BATTERY_UNKNOWN = 255;

enum Flag : uint8_t { FLAG_BATTERY_LOW = 1, FLAG_LEAD_OFF = 2, FLAG_CLIPPING = 4, FLAG_MISSED = 8 };

struct DatagramV2 {
  uint64_t boardId;
  uint32_t bootId;
  uint32_t sequence;
  uint64_t deviceUs;  // at the first sample
  uint32_t periodNs;
  uint8_t channels;
  uint8_t samples;
  uint8_t flags;
  uint16_t leadOff;   // one bit a channel, the first channel lowest
  uint16_t clipping;  // likewise
  uint8_t batteryPercent;
};

inline uint8_t *putLittleEndian(uint8_t *at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    *at++ = (uint8_t)(value >> (8 * i));
  }
  return at;
}

// The largest number of samples that one datagram can carry.
constexpr size_t samplesThatFit(size_t channels) {
  return (V2_MAX_BYTES - V2_HEADER_BYTES - V2_TAG_BYTES) / (2 * channels) < V2_MAX_SAMPLES
             ? (V2_MAX_BYTES - V2_HEADER_BYTES - V2_TAG_BYTES) / (2 * channels)
             : V2_MAX_SAMPLES;
}

// Writes the datagram, tag included, and gives its length; 0 when it does not fit. `values` holds all channels of the
// first instant first.
inline size_t encodeV2(const DatagramV2 &datagram, const int16_t *values, const HmacKey &key, uint8_t *bytes,
                       size_t room) {
  const size_t count = (size_t)datagram.samples * datagram.channels;
  const size_t signedBytes = V2_HEADER_BYTES + 2 * count;
  if (signedBytes + V2_TAG_BYTES > room || signedBytes + V2_TAG_BYTES > V2_MAX_BYTES) {
    return 0;
  }
  uint8_t *at = bytes;
  *at++ = 0x53;
  *at++ = 0x45;
  *at++ = 2;
  *at++ = datagram.flags;
  at = putLittleEndian(at, datagram.boardId, 8);
  at = putLittleEndian(at, datagram.bootId, 4);
  at = putLittleEndian(at, datagram.sequence, 4);
  at = putLittleEndian(at, datagram.deviceUs, 8);
  at = putLittleEndian(at, datagram.periodNs, 4);
  *at++ = datagram.channels;
  *at++ = datagram.samples;
  at = putLittleEndian(at, datagram.leadOff, 2);
  at = putLittleEndian(at, datagram.clipping, 2);
  *at++ = datagram.batteryPercent;
  *at++ = 0;
  for (size_t i = 0; i < count; i++) {
    at = putLittleEndian(at, (uint16_t)values[i], 2);
  }
  uint8_t digest[Sha256::DIGEST_BYTES];
  key.tag(bytes, signedBytes, digest);
  memcpy(at, digest, V2_TAG_BYTES);
  return signedBytes + V2_TAG_BYTES;
}

// -1 for what is no hexadecimal digit.
constexpr int hexDigit(char digit) {
  return digit >= '0' && digit <= '9'   ? digit - '0'
         : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
         : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                        : -1;
}

// Whether a text is `digits` hexadecimal digits; recursive because C++11, which old board packages speak, allows a
// constant function nothing else.
constexpr bool isHex(const char *text, size_t digits) {
  return digits == 0 ? *text == '\0' : hexDigit(*text) >= 0 && isHex(text + 1, digits - 1);
}

// Reads a key of 64 hexadecimal digits.
inline void setKeyFromHex(HmacKey &key, const char *text) {
  uint8_t bytes[V2_KEY_BYTES];
  for (size_t i = 0; i < V2_KEY_BYTES; i++) {
    bytes[i] = (uint8_t)(hexDigit(text[2 * i]) << 4 | hexDigit(text[2 * i + 1]));
  }
  key.set(bytes, sizeof(bytes));
}

}  // namespace semg
