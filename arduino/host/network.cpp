// IPAddress, the board's WiFi object and WiFiUDP of the host build.
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(ARDUINO_ARCH_ESP32)
#include "WiFi.h"
#elif defined(ARDUINO_UNOR4_WIFI)
#include "WiFiS3.h"
#elif defined(ESP8266)
#include "ESP8266WiFi.h"
#endif
#include "Arduino.h"
#include "HostBoard.h"
#include "WiFiUdp.h"

bool IPAddress::fromString(const char *address) {
  uint8_t parsed[4];
  const char *standIn = host::text("HOST_REMOTE_IP");
  if (inet_pton(AF_INET, address, parsed) != 1 &&
      (standIn == nullptr || inet_pton(AF_INET, standIn, parsed) != 1)) {
    return false;
  }
  memcpy(bytes_, parsed, sizeof(bytes_));
  return true;
}

#if defined(ARDUINO_ARCH_ESP32)

WiFiClass WiFi;

bool WiFiClass::mode(wifi_mode_t mode) { return mode == WIFI_STA; }
void WiFiClass::persistent(bool) {}
bool WiFiClass::setSleep(bool) { return true; }
wl_status_t WiFiClass::begin(const char *, const char *) {
  host::radio().begin();
  return status();
}
bool WiFiClass::disconnect() {
  host::radio().disconnect();
  return true;
}
wl_status_t WiFiClass::status() { return (wl_status_t)host::radio().status(); }
IPAddress WiFiClass::localIP() { return IPAddress(127, 0, 0, 1); }

#elif defined(ARDUINO_UNOR4_WIFI)

CWifi WiFi;

void CWifi::setTimeout(unsigned long timeout_ms) { timeoutMs_ = timeout_ms; }
int CWifi::begin(const char *, const char *) {
  host::radio().begin();
  for (unsigned long waitedMs = 0; waitedMs < timeoutMs_ && !host::radio().connected(); waitedMs += 5) {
    delay(5);
  }
  return host::radio().connected() ? WL_CONNECTED : WL_CONNECT_FAILED;
}
int CWifi::disconnect() {
  host::radio().disconnect();
  return 1;
}
uint8_t CWifi::status() { return (uint8_t)host::radio().status(); }
IPAddress CWifi::localIP() { return IPAddress(127, 0, 0, 1); }

#elif defined(ESP8266)

ESP8266WiFiClass WiFi;

bool ESP8266WiFiClass::mode(WiFiMode_t mode) { return mode == WIFI_STA; }
void ESP8266WiFiClass::persistent(bool) {}
bool ESP8266WiFiClass::setSleepMode(WiFiSleepType_t) { return true; }
wl_status_t ESP8266WiFiClass::begin(const char *, const char *) {
  host::radio().begin();
  return status();
}
bool ESP8266WiFiClass::disconnect() {
  host::radio().disconnect();
  return true;
}
wl_status_t ESP8266WiFiClass::status() { return (wl_status_t)host::radio().status(); }
IPAddress ESP8266WiFiClass::localIP() { return IPAddress(127, 0, 0, 1); }

#else
#error "Compile with -DARDUINO_ARCH_ESP32, -DARDUINO_UNOR4_WIFI or -DESP8266"
#endif

static sockaddr_in socketAddress(const IPAddress &address, uint16_t port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  const uint8_t bytes[4] = {address[0], address[1], address[2], address[3]};
  memcpy(&result.sin_addr, bytes, sizeof(bytes));
  return result;
}

static bool writeHex(FILE *file, const uint8_t *bytes, size_t length) {
  bool done = true;
  for (size_t i = 0; i < length; i++) {
    done = done && fprintf(file, "%02x", bytes[i]) == 2;
  }
  return done;
}

uint8_t WiFiUDP::begin(uint16_t port) {
  if (socket_ >= 0 || file_ != nullptr || !host::radio().connected()) {
    return 0;
  }
  if (const char *path = host::text("HOST_UDP_FILE")) {
    file_ = fopen(path, "a");
    return file_ != nullptr;
  }
  socket_ = socket(AF_INET, SOCK_DGRAM, 0);
  const uint16_t bound = (uint16_t)host::number("HOST_LOCAL_PORT", port);
  const sockaddr_in local = socketAddress(IPAddress(), bound);
  if (socket_ < 0 || bind(socket_, (const sockaddr *)&local, sizeof(local)) != 0) {
    perror("WiFiUDP::begin: choose another HOST_LOCAL_PORT (0: any free one)");
    stop();
    return 0;
  }
  return 1;
}

void WiFiUDP::stop() {
  if (socket_ >= 0) {
    close(socket_);
    socket_ = -1;
  }
  if (file_ != nullptr) {
    fclose(file_);
    file_ = nullptr;
  }
}

int WiFiUDP::beginPacket(IPAddress address, uint16_t port) {
  address_ = address;
  port_ = (uint16_t)host::number("HOST_REMOTE_PORT", port);
  length_ = 0;
  return socket_ >= 0 || file_ != nullptr;
}

size_t WiFiUDP::write(const uint8_t *bytes, size_t size) {
  const size_t taken = size < MAX_BYTES - length_ ? size : MAX_BYTES - length_;
  memcpy(bytes_ + length_, bytes, taken);
  length_ += taken;
  return taken;
}

int WiFiUDP::endPacket() {
  if (!host::radio().connected()) {
    return 0;
  }
  bool done = false;
  if (file_ != nullptr) {
    static const bool asHex = host::number("HOST_UDP_HEX", 0) != 0;
    done = asHex ? writeHex(file_, bytes_, length_) : fwrite(bytes_, 1, length_, file_) == length_;
    done = done && fputc('\n', file_) != EOF;
  } else if (socket_ >= 0) {
    const sockaddr_in remote = socketAddress(address_, port_);
    const ssize_t sent = sendto(socket_, bytes_, length_, 0, (const sockaddr *)&remote, sizeof(remote));
    done = sent == (ssize_t)length_;
  }
  if (done) {
    host::countDatagram();
  }
  return done;
}
