// ESP32: begin() returns at once and the link comes up later.
#pragma once

#if !defined(ARDUINO_ARCH_ESP32)
#error "WiFi.h of this host build is the ESP32's"
#endif

#include "IPAddress.h"
#include "WiFiTypes.h"

enum wifi_mode_t { WIFI_OFF = 0, WIFI_STA = 1 };

class WiFiClass {
 public:
  bool mode(wifi_mode_t mode);
  void persistent(bool persistent);
  bool setSleep(bool enabled);
  wl_status_t begin(const char *ssid, const char *passphrase);
  bool disconnect();
  wl_status_t status();
  IPAddress localIP();
};

extern WiFiClass WiFi;
