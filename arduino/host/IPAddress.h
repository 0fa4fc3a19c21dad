// An IPv4 address as the Arduino core has it.
#pragma once

#include <stdint.h>

class IPAddress {
 public:
  IPAddress() : IPAddress(0, 0, 0, 0) {}
  IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d) : bytes_{a, b, c, d} {}

  // As on a board, false and no change for what is no address. HOST_REMOTE_IP stands in for such a text, so that
  // the sketch runs with its placeholder in place.
  bool fromString(const char *address);
  uint8_t operator[](int index) const { return bytes_[index]; }

 private:
  uint8_t bytes_[4];
};
