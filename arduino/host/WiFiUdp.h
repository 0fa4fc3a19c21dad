// UDP over a POSIX socket. HOST_REMOTE_PORT replaces the port that the sketch sends to, HOST_LOCAL_PORT the one it
// binds (0: any free one); HOST_UDP_FILE collects the datagrams as lines of a file instead of sending them, with
// HOST_UDP_HEX=1 in hexadecimal digits.
#pragma once

#include <stdio.h>

#include "IPAddress.h"

class WiFiUDP {
 public:
  uint8_t begin(uint16_t port);
  void stop();
  int beginPacket(IPAddress address, uint16_t port);
  size_t write(const uint8_t *bytes, size_t size);
  int endPacket();

 private:
  static const size_t MAX_BYTES = 1472;  // what fits one Ethernet frame

  int socket_ = -1;
  FILE *file_ = nullptr;
  IPAddress address_;
  uint16_t port_ = 0;
  size_t length_ = 0;
  uint8_t bytes_[MAX_BYTES] = {};
};
