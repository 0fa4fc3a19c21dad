// Runs the sketch's own tag and encoder on what a line of standard input says, and prints the bytes in hexadecimal.
//
//     tag KEY DATA                                   hexadecimal, "-" for nothing: the whole HMAC-SHA-256
//     v2 KEY board boot sequence device_us period_ns channels samples flags lead_off clipping battery value...
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "datagram_v2.h"

static std::vector<uint8_t> fromHex(const std::string &text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; text != "-" && i + 1 < text.size(); i += 2) {
    bytes.push_back((uint8_t)(semg::hexDigit(text[i]) << 4 | semg::hexDigit(text[i + 1])));
  }
  return bytes;
}

static void printHex(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    printf("%02x", bytes[i]);
  }
  printf("\n");
}

static void tag(std::istream &in) {
  std::string keyText, dataText;
  in >> keyText >> dataText;
  const std::vector<uint8_t> keyBytes = fromHex(keyText), data = fromHex(dataText);
  semg::HmacKey key;
  key.set(keyBytes.data(), keyBytes.size());
  uint8_t digest[semg::Sha256::DIGEST_BYTES];
  key.tag(data.data(), data.size(), digest);
  printHex(digest, sizeof(digest));
}

static void encode(std::istream &in) {
  std::string keyText;
  uint64_t number[11];
  in >> keyText;
  for (uint64_t &field : number) {
    in >> field;
  }
  std::vector<int16_t> values;
  for (int value = 0; in >> value;) {
    values.push_back((int16_t)value);
  }
  semg::DatagramV2 head = {};
  head.boardId = number[0];
  head.bootId = (uint32_t)number[1];
  head.sequence = (uint32_t)number[2];
  head.deviceUs = number[3];
  head.periodNs = (uint32_t)number[4];
  head.channels = (uint8_t)number[5];
  head.samples = (uint8_t)number[6];
  head.flags = (uint8_t)number[7];
  head.leadOff = (uint16_t)number[8];
  head.clipping = (uint16_t)number[9];
  head.batteryPercent = (uint8_t)number[10];
  semg::HmacKey key;
  semg::setKeyFromHex(key, keyText.c_str());
  uint8_t bytes[2048];
  printHex(bytes, semg::encodeV2(head, values.data(), key, bytes, sizeof(bytes)));
}

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string what;
    in >> what;
    what == "tag" ? tag(in) : encode(in);
  }
  return 0;
}
