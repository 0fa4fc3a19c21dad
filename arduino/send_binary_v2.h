// Binary v2: a timer takes the samples, the loop sends them in blocks. A part of arduinocode.ino, which includes it
// after its settings.
#pragma once

#include "boot_count.h"
#include "datagram_v2.h"
#include "sample_timer.h"
#include "sampling.h"

static_assert(BOARD_ID > 0, "binary v2 needs the BOARD_ID that Profiles shows");
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

// How many waiting samples make the next datagram: a full block, or what precedes a gap; 0: wait for more. A datagram
// tells only its first sample's time, so the others must lie where the period puts them.
size_t readyRun() {
  const size_t waiting = smaller(ring.count(), BLOCK_SAMPLES);
  for (size_t run = 1; run < waiting; run++) {
    const int64_t off = (int64_t)(ring.at(run).deviceUs - ring.at(0).deviceUs) - (int64_t)(run * PERIOD_US);
    if (off > (int64_t)PERIOD_US / 4 || off < -(int64_t)PERIOD_US / 4) {
      return run;
    }
  }
  return waiting == BLOCK_SAMPLES ? waiting : 0;
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
