/*
 * Sensor node: reads EMG sensors at a fixed rate and sends the samples by UDP (docs/wire.md)
 *
 *     with a board number and key   binary v2: blocks of samples, with a tag that proves which board sent them
 *     without                       text v1, one sample a datagram:  userid,millis,a0[,a1...]
 *
 * Boards: ESP32, Arduino UNO R4 WiFi, ESP8266 (one ADC input). docs/hardware.md shows wiring and electrodes,
 * arduino/README.md how to open and flash this folder. Edit the block "Settings" and the address in setup().
 */
#include <Arduino.h>

#if defined(ARDUINO_ARCH_ESP32)
#include <WiFi.h>
#elif defined(ARDUINO_UNOR4_WIFI)
#include <WiFiS3.h>
#elif defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#error "Choose an ESP32, Arduino UNO R4 WiFi or ESP8266 board; other boards have no known WiFi library and pins here"
#endif
#include <WiFiUdp.h>
#include <stdio.h>

// Settings ---------------------------------------------------------------------------------------------------------

char ssid[] = "YOUR_WIFI_NAME";
char pass[] = "YOUR_WIFI_PASSWORD";
int USER_ID = 21;  // text v1 only: the profile's number, as the Profiles page shows it

// Binary v2: put the two lines here that Profiles shows for your board, such as
//     #define BOARD_ID 7
//     #define BOARD_KEY "64 hexadecimal digits"
// The key is the board's secret: whoever has it can send in the board's name.
#ifndef BOARD_ID
#define BOARD_ID 0  // no board number: text v1
#endif
#ifndef BOARD_KEY
#define BOARD_KEY ""
#endif
#ifndef PROTOCOL
#if BOARD_ID > 0
#define PROTOCOL 2
#else
#define PROTOCOL 1
#endif
#endif

#ifndef SAMPLE_RATE_HZ
#define SAMPLE_RATE_HZ 200  // 50 to 1000; the profile's device must say the same
#endif
#ifndef CHANNELS
#define CHANNELS 4  // sensors connected, from the first pin below on; a board with fewer inputs sends fewer
#endif
#ifndef DATAGRAM_MS  // v2: how long samples are collected for one datagram, which adds as much to the delay
#if defined(ARDUINO_UNOR4_WIFI)
#define DATAGRAM_MS 40  // its radio takes several milliseconds a datagram
#else
#define DATAGRAM_MS 20
#endif
#endif
#ifndef CLIP_BELOW
#define CLIP_BELOW 1  // v2: smaller values count as clipped; 0 for envelope sensors, which rest at zero
#endif
#ifndef FIRST_BOOT_ID
#define FIRST_BOOT_ID 1  // v2: raise above the last one seen when the board's memory was erased or the board replaced
#endif
#ifndef WIFI_RETRY_MS
#define WIFI_RETRY_MS 10000  // between two tries; a shorter one may interrupt a slow access point every time
#endif

// ESP32: only pins of ADC1. The WiFi driver owns ADC2 while it runs, and reads of its pins then fail.
#if defined(CONFIG_IDF_TARGET_ESP32S2) || defined(CONFIG_IDF_TARGET_ESP32S3)
const uint8_t SENSOR_PINS[] = {1, 2, 4, 5, 6, 7};
#elif defined(CONFIG_IDF_TARGET_ESP32C3)
const uint8_t SENSOR_PINS[] = {0, 1, 3, 4};
#elif defined(ARDUINO_ARCH_ESP32)
const uint8_t SENSOR_PINS[] = {36, 39, 34, 35, 32, 33};
#elif defined(ARDUINO_UNOR4_WIFI)
const uint8_t SENSOR_PINS[] = {A0, A1, A2, A3, A4, A5};
#else
const uint8_t SENSOR_PINS[] = {A0};
#endif

const uint16_t localPort = 2390;
const uint16_t remotePort = 8081;

// ------------------------------------------------------------------------------------------------------------------

const size_t PIN_COUNT = sizeof(SENSOR_PINS) / sizeof(SENSOR_PINS[0]);
const size_t CHANNEL_COUNT = CHANNELS < PIN_COUNT ? CHANNELS : PIN_COUNT;
static_assert(CHANNELS >= 1, "CHANNELS must be at least 1");
static_assert(SAMPLE_RATE_HZ >= 50 && SAMPLE_RATE_HZ <= 1000, "SAMPLE_RATE_HZ must be 50 to 1000");
static_assert(PROTOCOL == 1 || PROTOCOL == 2, "PROTOCOL must be 1 (text) or 2 (binary)");

const uint32_t WIFI_CHECK_MS = 500;  // asking the UNO R4's radio for its state takes milliseconds: not per sample
const uint32_t REPORT_MS = 1000;
const uint32_t HALF_RANGE = 0x80000000UL;  // differences of a wrapping counter below this lie in the past

WiFiUDP udp;
IPAddress remoteIp;
bool haveRemote = false;
bool online = false;
int lastStatus = -1;
uint32_t lastCheckMs = 0;
uint32_t lastAttemptMs = 0;

uint32_t sentCount = 0;
uint32_t failedCount = 0;
uint32_t missedCount = 0;
uint32_t lastReportMs = 0;

bool isPast(uint32_t now, uint32_t due);
void configureBoard();
void startWiFi();
void keepWiFi();
const char *statusText(int status);
bool sendDatagram(const void *bytes, size_t length);
void report();

#if PROTOCOL == 1
#include "send_text_v1.h"
#else
#include "send_binary_v2.h"
#endif

void setup() {
  Serial.begin(115200);
  configureBoard();
  haveRemote = remoteIp.fromString("XX.XX.XX.XX");  // the address of the computer that runs udpserver
  startWiFi();
  startSampling();
  lastReportMs = millis();
}

void loop() {
  keepWiFi();
  sampleAndSend();
  report();
}

bool isPast(uint32_t now, uint32_t due) { return (uint32_t)(now - due) < HALF_RANGE; }

void configureBoard() {
#if defined(ARDUINO_ARCH_ESP32)
  analogReadResolution(12);
  WiFi.persistent(false);
  WiFi.mode(WIFI_STA);
  WiFi.setSleep(false);  // modem sleep holds datagrams back until the next beacon, up to 100 ms
#elif defined(ARDUINO_UNOR4_WIFI)
  analogReadResolution(12);
  WiFi.setTimeout(8000);  // begin() blocks here until it is connected; this is for how long at most
#else
  WiFi.persistent(false);
  WiFi.mode(WIFI_STA);
  WiFi.setSleepMode(WIFI_NONE_SLEEP);
#endif
}

void startWiFi() {
  Serial.print("WiFi: connecting to ");
  Serial.println(ssid);
  WiFi.begin(ssid, pass);
  lastAttemptMs = millis();
  lastCheckMs = lastAttemptMs - WIFI_CHECK_MS;
}

void keepWiFi() {
  const uint32_t now = millis();
  if ((uint32_t)(now - lastCheckMs) < WIFI_CHECK_MS) {
    return;
  }
  lastCheckMs = now;
  const int status = WiFi.status();
  if (status != lastStatus) {
    lastStatus = status;
    Serial.print("WiFi: ");
    Serial.println(statusText(status));
  }
  if (status == WL_CONNECTED) {
    if (!online) {
      udp.stop();
      online = udp.begin(localPort) != 0;
      Serial.print("WiFi: address ");
      Serial.println(WiFi.localIP());
    }
    return;
  }
  const bool justLost = online;
  online = false;
  if (justLost || (uint32_t)(now - lastAttemptMs) >= WIFI_RETRY_MS) {
    WiFi.disconnect();
    startWiFi();
#if !defined(ARDUINO_UNOR4_WIFI)  // its begin() has waited already, so that the answer is there
    lastCheckMs = lastAttemptMs;
#endif
  }
}

const char *statusText(int status) {
  switch (status) {
    case WL_IDLE_STATUS: return "idle";
    case WL_NO_SSID_AVAIL: return "network not found, check ssid";
    case WL_CONNECTED: return "connected";
    case WL_CONNECT_FAILED: return "connection failed, check ssid and pass";
    case WL_CONNECTION_LOST: return "connection lost";
    case WL_DISCONNECTED: return "disconnected";
    default: return "unknown state";
  }
}

bool sendDatagram(const void *bytes, size_t length) {
  const bool sent = udp.beginPacket(remoteIp, remotePort) != 0 &&
                    udp.write((const uint8_t *)bytes, length) == length && udp.endPacket() != 0;
  if (sent) {
    sentCount++;
  } else {
    failedCount++;
  }
  return sent;
}

// Once a second, and short enough for the serial buffer (128 bytes): a line per sample would hold the samples up.
void report() {
  if ((uint32_t)(millis() - lastReportMs) < REPORT_MS) {
    return;
  }
  lastReportMs += REPORT_MS;
  if (isPast(millis(), lastReportMs + REPORT_MS)) {
    lastReportMs = millis();
  }
  if (problem() != nullptr) {
    Serial.println(problem());
    return;
  }
  char last[64];
  describeLast(last, sizeof(last));
  char line[140];
  snprintf(line, sizeof(line), "sent %lu failed %lu missed %lu %s", (unsigned long)sentCount,
           (unsigned long)failedCount, (unsigned long)missedCount, last);
  Serial.println(line);
}
