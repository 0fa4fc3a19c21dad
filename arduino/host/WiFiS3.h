// Arduino UNO R4 WiFi: begin() blocks until the link is up or the timeout has passed, as the board's library does.
#pragma once

#if !defined(ARDUINO_UNOR4_WIFI)
#error "WiFiS3.h of this host build is the UNO R4 WiFi's"
#endif

#include "IPAddress.h"
#include "WiFiTypes.h"

class CWifi {
 public:
  void setTimeout(unsigned long timeout_ms);
  int begin(const char *ssid, const char *passphrase);
  int disconnect();
  uint8_t status();
  IPAddress localIP();

 private:
  unsigned long timeoutMs_ = 10000;
};

extern CWifi WiFi;
