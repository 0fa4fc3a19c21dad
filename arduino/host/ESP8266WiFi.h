// ESP8266: begin() returns at once and the link comes up later.
#pragma once

#if !defined(ESP8266)
#error "ESP8266WiFi.h of this host build is the ESP8266's"
#endif

#include "IPAddress.h"
#include "WiFiTypes.h"

enum WiFiMode_t { WIFI_OFF = 0, WIFI_STA = 1 };
enum WiFiSleepType_t { WIFI_NONE_SLEEP = 0, WIFI_LIGHT_SLEEP = 1, WIFI_MODEM_SLEEP = 2 };

class ESP8266WiFiClass {
 public:
  bool mode(WiFiMode_t mode);
  void persistent(bool persistent);
  bool setSleepMode(WiFiSleepType_t type);
  wl_status_t begin(const char *ssid, const char *passphrase);
  bool disconnect();
  wl_status_t status();
  IPAddress localIP();
};

extern ESP8266WiFiClass WiFi;
