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
int USER_ID = 21;  // text v1 only: the profile's number, as the User Management page shows it

// Binary v2: put the two lines here that User Management shows for your board, such as
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

#if PROTOCOL == 2
#include "boot_count.h"
#include "datagram_v2.h"
#include "sample_timer.h"
#include "sampling.h"
#endif

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
const char *problem();
void startSampling();                          // these three differ with the protocol
void sampleAndSend();
void describeLast(char *text, size_t room);

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

#if PROTOCOL == 1

// Text v1: a sample is read when the loop finds it due, and is sent at once. ------------------------------------------

// userid (11) + millis (10) + per channel a comma and at most 5 digits, and the terminator
const size_t DATAGRAM_BYTES = 11 + 1 + 10 + CHANNEL_COUNT * 6 + 1;

uint32_t dueMicros = 0;  // when the next sample is to be taken
uint32_t dueMillis = 0;  // the same moment on the millisecond counter: what the datagram says
uint32_t microsRest = 0;
uint32_t millisRest = 0;
char datagram[DATAGRAM_BYTES];

void advanceSchedule();
size_t formatDatagram(uint32_t stampMs);

const char *problem() {
  return haveRemote ? nullptr : "remoteIp is no address: put the server's address, like 192.168.1.10, into setup()";
}

void startSampling() {
  dueMicros = micros();
  dueMillis = millis();
  microsRest = 0;
  millisRest = 0;
}

void sampleAndSend() {
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
      // One that the radio refuses is not sent again: the next sample is due before a second try would help.
      sendDatagram(datagram, formatDatagram(stampMs));
    }
  }
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

void describeLast(char *text, size_t room) { snprintf(text, room, "last %s", datagram); }

#else

// Binary v2: a timer takes the samples, the loop sends them in blocks. ------------------------------------------------

static_assert(BOARD_ID > 0, "binary v2 needs the BOARD_ID that User Management shows");
static_assert(semg::isHex(BOARD_KEY, 2 * semg::V2_KEY_BYTES), "BOARD_KEY must be 64 hexadecimal digits");

#if defined(ARDUINO_ARCH_ESP32)
const size_t RING_SAMPLES = 1024;
#elif defined(ARDUINO_UNOR4_WIFI)
const size_t RING_SAMPLES = 256;  // 5 kB of its 32 with six channels
#else
const size_t RING_SAMPLES = 512;
#endif
#if defined(ESP8266)
const int ADC_MAX = 1023;
#else
const int ADC_MAX = 4095;
#endif

constexpr size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

const uint32_t PERIOD_US = 1000000UL / SAMPLE_RATE_HZ;
const uint32_t PERIOD_NS = (1000000000UL + SAMPLE_RATE_HZ / 2) / SAMPLE_RATE_HZ;
const size_t COLLECTED = (size_t)DATAGRAM_MS * SAMPLE_RATE_HZ / 1000;
const size_t BLOCK_SAMPLES = smaller(COLLECTED > 0 ? COLLECTED : 1, semg::samplesThatFit(CHANNEL_COUNT));
// Samples wait as long as this for the radio, so that a short interruption loses none. Older ones are given up: the
// ring must keep room for new ones, and the server takes what arrives seconds late for another boot.
const uint32_t HOLD_US = smaller(1000000UL, RING_SAMPLES * 3 / 4 * PERIOD_US);
const uint32_t SEND_RETRY_MS = 5;
const uint8_t BATTERY_LOW_PERCENT = 15;

static_assert(BLOCK_SAMPLES <= RING_SAMPLES / 4, "DATAGRAM_MS is too long for the samples that can wait");

typedef semg::SampleRing<CHANNEL_COUNT, RING_SAMPLES> Ring;

semg::SampleTimer sampleTimer;
semg::DeviceClock deviceClock;
semg::SampleSchedule schedule;
Ring ring;
std::atomic<uint32_t> notTaken{0};  // written only where samples are taken, which may be an interrupt

semg::HmacKey boardKey;
uint32_t bootId = 0;
uint32_t sequence = 0;
uint8_t datagram[semg::V2_MAX_BYTES];
size_t datagramLength = 0;  // 0: none waits
size_t datagramSamples = 0;
uint64_t datagramFirstUs = 0;
uint64_t nextUs = 0;  // due moment of the sample after the last one built; 0: none was built yet
uint32_t lastTryMs = 0;
uint32_t unsentCount = 0;
int16_t lastValues[CHANNEL_COUNT] = {};

void takeSample();
bool isOld(uint64_t deviceUs);
void giveUpOldSamples();
size_t readyRun();
void buildDatagram(size_t samples);
void printBoard();

// What a board knows of its electrodes and its battery. Nothing here; define these functions in a .cpp file of your own
// beside the sketch, and they replace these.
__attribute__((weak)) uint16_t leadOffBits() { return 0; }  // one bit a channel, the first channel lowest
__attribute__((weak)) uint8_t batteryPercent() { return semg::BATTERY_UNKNOWN; }

const char *problem() {
  if (bootId == 0) {
    return "the boot id cannot be stored: the board's non-volatile memory fails, nothing is sent";
  }
  return haveRemote ? nullptr : "remoteIp is no address: put the server's address, like 192.168.1.10, into setup()";
}

void startSampling() {
  semg::setKeyFromHex(boardKey, BOARD_KEY);
  bootId = semg::countBoot(FIRST_BOOT_ID);
  for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
    analogRead(SENSOR_PINS[channel]);  // the first reading sets the pin up, which takes too long for a timer's call
  }
  deviceClock.start(micros());
  schedule.start(deviceClock.read(micros()), SAMPLE_RATE_HZ);
  sampleTimer.start(takeSample, SAMPLE_RATE_HZ);
  sampleTimer.arm(PERIOD_US);
  printBoard();
}

// Called by the timer, on the ESP32 in its task, on the UNO R4 in an interrupt; on the ESP8266 by the loop.
void takeSample() {
  Ring::Sample sample;
  uint32_t missed = 0;
  bool due = true;
  const uint64_t nowUs = deviceClock.read(micros());
  if (sampleTimer.pace() == semg::Pace::PERIODIC) {
    schedule.follow(nowUs, sample.deviceUs, missed);
  } else {
    due = schedule.claim(nowUs, sample.deviceUs, missed);
  }
  if (due) {
    for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
      sample.values[channel] = (int16_t)analogRead(SENSOR_PINS[channel]);
    }
    if (!ring.push(sample)) {
      missed++;
    }
    notTaken.store(notTaken.load(std::memory_order_relaxed) + missed, std::memory_order_relaxed);
  }
  if (sampleTimer.pace() == semg::Pace::ONE_SHOT) {
    const uint64_t afterUs = deviceClock.read(micros());
    sampleTimer.arm(schedule.dueUs() > afterUs ? schedule.dueUs() - afterUs : 0);
  }
}

void sampleAndSend() {
  if (sampleTimer.pace() == semg::Pace::LOOP) {
    takeSample();
  }
  missedCount = notTaken.load(std::memory_order_relaxed);
  giveUpOldSamples();
  if (!online || problem() != nullptr) {
    return;
  }
  const bool waits = datagramLength > 0;
  if (!waits) {
    const size_t run = readyRun();
    if (run == 0) {
      return;
    }
    buildDatagram(run);
  } else if ((uint32_t)(millis() - lastTryMs) < SEND_RETRY_MS) {
    return;
  }
  lastTryMs = millis();
  // What the radio refused is tried again with the same bytes: should it have gone out after all, the server knows
  // the sequence.
  if (sendDatagram(datagram, datagramLength)) {
    datagramLength = 0;
  }
}

bool isOld(uint64_t deviceUs) {
  const int32_t age = (int32_t)(micros() - (uint32_t)deviceUs);
  return age > (int32_t)HOLD_US;
}

void giveUpOldSamples() {
  if (datagramLength > 0 && isOld(datagramFirstUs)) {
    unsentCount += (uint32_t)datagramSamples;
    datagramLength = 0;
  }
  while (ring.count() > 0 && isOld(ring.at(0).deviceUs)) {
    unsentCount++;
    ring.drop(1);
  }
}

// How many waiting samples make the next datagram: a full block, or what precedes a gap; 0: wait for more.
size_t readyRun() {
  const size_t waiting = smaller(ring.count(), BLOCK_SAMPLES + 1);
  size_t run = 0;
  while (run < waiting && run < BLOCK_SAMPLES) {
    if (run > 0 && ring.at(run).deviceUs - ring.at(run - 1).deviceUs > PERIOD_US + PERIOD_US / 2) {
      return run;
    }
    run++;
  }
  return run == BLOCK_SAMPLES ? run : 0;
}

void buildDatagram(size_t samples) {
  static int16_t values[BLOCK_SAMPLES * CHANNEL_COUNT];
  semg::DatagramV2 head = {};
  for (size_t i = 0; i < samples; i++) {
    for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
      const int16_t value = ring.at(i).values[channel];
      values[i * CHANNEL_COUNT + channel] = value;
      if (value >= ADC_MAX || value < CLIP_BELOW) {
        head.clipping = (uint16_t)(head.clipping | 1U << channel);
      }
      lastValues[channel] = value;
    }
  }
  head.boardId = BOARD_ID;
  head.bootId = bootId;
  head.sequence = sequence++;
  head.deviceUs = ring.at(0).deviceUs;
  head.periodNs = PERIOD_NS;
  head.channels = (uint8_t)CHANNEL_COUNT;
  head.samples = (uint8_t)samples;
  head.leadOff = leadOffBits();
  head.batteryPercent = batteryPercent();
  const bool batteryLow = head.batteryPercent != semg::BATTERY_UNKNOWN && head.batteryPercent <= BATTERY_LOW_PERCENT;
  const bool gap = nextUs != 0 && head.deviceUs > nextUs + PERIOD_US / 2;
  head.flags = (uint8_t)((batteryLow ? semg::FLAG_BATTERY_LOW : 0) | (head.leadOff != 0 ? semg::FLAG_LEAD_OFF : 0) |
                         (head.clipping != 0 ? semg::FLAG_CLIPPING : 0) | (gap ? semg::FLAG_MISSED : 0));
  nextUs = ring.at(samples - 1).deviceUs + PERIOD_US;
  datagramFirstUs = head.deviceUs;
  datagramSamples = samples;
  datagramLength = semg::encodeV2(head, values, boardKey, datagram, sizeof(datagram));
  ring.drop(samples);
}

void describeLast(char *text, size_t room) {
  size_t length = (size_t)snprintf(text, room, "unsent %lu last ", (unsigned long)unsentCount);
  for (size_t channel = 0; channel < CHANNEL_COUNT && length < room; channel++) {
    length += (size_t)snprintf(text + length, room - length, channel == 0 ? "%d" : ",%d", lastValues[channel]);
  }
}

// The number digit by digit: the C libraries of the UNO R4 and the ESP8266 print no 64-bit numbers.
void printBoard() {
  char number[21] = {};
  size_t at = sizeof(number) - 1;
  for (uint64_t rest = BOARD_ID; rest > 0; rest /= 10) {
    number[--at] = (char)('0' + (int)(rest % 10));
  }
  char line[100];
  snprintf(line, sizeof(line), "board %s boot %lu: %lu Hz, %lu channels, %lu samples a datagram, %s", number + at,
           (unsigned long)bootId, (unsigned long)SAMPLE_RATE_HZ, (unsigned long)CHANNEL_COUNT,
           (unsigned long)BLOCK_SAMPLES, sampleTimer.pace() == semg::Pace::LOOP ? "taken by the loop" : "by a timer");
  Serial.println(line);
}

#endif
