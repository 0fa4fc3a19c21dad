/*
 * Sensor node: reads EMG sensors at a fixed rate and sends each sample as one UDP text datagram
 *
 *     userid,millis,a0[,a1...]        for example  21,1234567,512,498,1023,77
 *
 * Boards: ESP32, Arduino UNO R4 WiFi, ESP8266 (one ADC input). docs/hardware.md shows wiring and electrodes,
 * arduino/README.md how to open and flash this file. Edit the block "Settings" and the address in setup().
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
int USER_ID = 21;  // the profile's number, as the User Management page shows it

#ifndef SAMPLE_RATE_HZ
#define SAMPLE_RATE_HZ 200  // 50 to 1000; the profile's device must say the same
#endif
#ifndef CHANNELS
#define CHANNELS 4  // sensors connected, from the first pin below on; a board with fewer inputs sends fewer
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

const uint32_t WIFI_CHECK_MS = 500;  // asking the UNO R4's radio for its state takes milliseconds: not per sample
const uint32_t REPORT_MS = 1000;
const uint32_t HALF_RANGE = 0x80000000UL;  // differences of a wrapping counter below this lie in the past

// userid (11) + millis (10) + per channel a comma and at most 5 digits, and the terminator
const size_t DATAGRAM_BYTES = 11 + 1 + 10 + CHANNEL_COUNT * 6 + 1;

WiFiUDP udp;
IPAddress remoteIp;
bool haveRemote = false;
bool online = false;
int lastStatus = -1;
uint32_t lastCheckMs = 0;
uint32_t lastAttemptMs = 0;

uint32_t dueMicros = 0;  // when the next sample is to be taken
uint32_t dueMillis = 0;  // the same moment on the millisecond counter: what the datagram says
uint32_t microsRest = 0;
uint32_t millisRest = 0;

char datagram[DATAGRAM_BYTES];
uint32_t sentCount = 0;
uint32_t failedCount = 0;
uint32_t missedCount = 0;
uint32_t lastReportMs = 0;

bool isPast(uint32_t now, uint32_t due);
void configureBoard();
void startWiFi();
void keepWiFi();
const char *statusText(int status);
void startSchedule();
void advanceSchedule();
size_t formatDatagram(uint32_t stampMs);
void sendSample(uint32_t stampMs);
void report();

void setup() {
  Serial.begin(115200);
  configureBoard();
  haveRemote = remoteIp.fromString("XX.XX.XX.XX");  // the address of the computer that runs udpserver
  startWiFi();
  startSchedule();
  lastReportMs = millis();
}

void loop() {
  keepWiFi();
  const uint32_t now = micros();
  if (isPast(now, dueMicros)) {
    // After a stall the missed moments are given up and counted: sending them now would put old stamps on new
    // values. The stamps stay on the grid, so the server sees the gap.
    uint32_t stampMs = dueMillis;
    advanceSchedule();
    while (isPast(now, dueMicros)) {
      stampMs = dueMillis;
      missedCount++;
      advanceSchedule();
    }
    if (online && haveRemote) {
      sendSample(stampMs);
    }
  }
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
    lastCheckMs = lastAttemptMs;
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

void startSchedule() {
  dueMicros = micros();
  dueMillis = millis();
  microsRest = 0;
  millisRest = 0;
}

// One period on, on both counters. The rests carry what does not divide (300 Hz: 3333 us and a third), so that
// neither counter drifts from the rate; both wrap by themselves.
void advanceSchedule() {
  dueMicros += 1000000UL / SAMPLE_RATE_HZ;
  microsRest += 1000000UL % SAMPLE_RATE_HZ;
  if (microsRest >= SAMPLE_RATE_HZ) {
    microsRest -= SAMPLE_RATE_HZ;
    dueMicros++;
  }
  dueMillis += 1000UL / SAMPLE_RATE_HZ;
  millisRest += 1000UL % SAMPLE_RATE_HZ;
  if (millisRest >= SAMPLE_RATE_HZ) {
    millisRest -= SAMPLE_RATE_HZ;
    dueMillis++;
  }
}

// Reads the sensors into the datagram and gives its length.
size_t formatDatagram(uint32_t stampMs) {
  size_t length = (size_t)snprintf(datagram, sizeof(datagram), "%d,%lu", USER_ID, (unsigned long)stampMs);
  for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
    const unsigned int value = (unsigned int)analogRead(SENSOR_PINS[channel]) & 0xFFFFU;
    length += (size_t)snprintf(datagram + length, sizeof(datagram) - length, ",%u", value);
  }
  return length;
}

void sendSample(uint32_t stampMs) {
  const size_t length = formatDatagram(stampMs);
  const bool sent = udp.beginPacket(remoteIp, remotePort) != 0 &&
                    udp.write((const uint8_t *)datagram, length) == length && udp.endPacket() != 0;
  // A datagram that the radio refuses is not sent again: the next sample is due before a second try would help.
  if (sent) {
    sentCount++;
  } else {
    failedCount++;
  }
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
  if (!haveRemote) {
    Serial.println("remoteIp is no address: put the server's address, like 192.168.1.10, into setup()");
    return;
  }
  char line[120];
  snprintf(line, sizeof(line), "sent %lu failed %lu missed %lu last %s", (unsigned long)sentCount,
           (unsigned long)failedCount, (unsigned long)missedCount, datagram);
  Serial.println(line);
}
