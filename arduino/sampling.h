// When samples are due, what time it is, and where samples wait until they are sent. Nothing here touches a board.
#pragma once

#include <atomic>
#include <stddef.h>
#include <stdint.h>

namespace semg {

// The 64-bit device clock, made from a 32-bit counter of microseconds that wraps every 71.6 minutes. It must be read
// more often than that, and always by the same caller.
class DeviceClock {
 public:
  void start(uint32_t counter) {
    counter_ = counter;
    now_ = counter;
  }

  // A counter that reads back (the UNO R4's did by 1 ms, ArduinoCore-renesas issue 49) must not look like a wrap: then
  // the clock stands still until the counter has caught up.
  uint64_t read(uint32_t counter) {
    const uint32_t step = counter - counter_;
    if (step < 0x80000000UL) {
      counter_ = counter;
      now_ += step;
    }
    return now_;
  }

 private:
  uint32_t counter_ = 0;
  uint64_t now_ = 0;
};

// Due moments at an exact rate. The rest carries what does not divide (300 Hz: 3333 us and a third), so that the
// moments do not drift from the rate.
class SampleSchedule {
 public:
  void start(uint64_t nowUs, uint32_t rateHz) {
    rateHz_ = rateHz;
    dueUs_ = nowUs + periodUs();
    rest_ = 0;
  }

  // Claims the moment that a sample taken now belongs to. False: none is due yet. When several have passed, the
  // latest is claimed, and `missed` says how many before it cannot be had any more.
  bool claim(uint64_t nowUs, uint64_t &momentUs, uint32_t &missed) {
    missed = 0;
    if (nowUs < dueUs_) {
      return false;
    }
    momentUs = advance();
    while (dueUs_ <= nowUs) {
      momentUs = advance();
      missed++;
    }
    return true;
  }

  // For a timer that has a period of its own: every call is a sample, and the moments follow the timer. A sixteenth of
  // the difference is taken over each time, which smooths a late interrupt and follows a period that could not be
  // set exactly.
  void follow(uint64_t nowUs, uint64_t &momentUs, uint32_t &missed) {
    missed = 0;
    const int64_t period = (int64_t)periodUs();
    int64_t error = (int64_t)(nowUs - dueUs_);
    while (error > period / 2 + period / 4) {
      advance();
      missed++;
      error = (int64_t)(nowUs - dueUs_);
    }
    if (error < -period / 2) {
      error = -period / 2;
    }
    dueUs_ += (uint64_t)(error / 16);
    momentUs = advance();
  }

  uint64_t dueUs() const { return dueUs_; }

 private:
  uint32_t periodUs() const { return 1000000UL / rateHz_; }

  uint64_t advance() {
    const uint64_t moment = dueUs_;
    dueUs_ += periodUs();
    rest_ += 1000000UL % rateHz_;
    if (rest_ >= rateHz_) {
      rest_ -= rateHz_;
      dueUs_++;
    }
    return moment;
  }

  uint32_t rateHz_ = 1;
  uint64_t dueUs_ = 0;
  uint32_t rest_ = 0;
};

template <size_t WIDTH>
struct TimedSample {
  uint64_t deviceUs;
  int16_t values[WIDTH];
};

// Samples on their way from the timer (one producer, perhaps in an interrupt or on the other core) to the loop (one
// consumer). Full: the new sample is refused. ROOM is a power of two.
template <size_t WIDTH, size_t ROOM>
class SampleRing {
  static_assert((ROOM & (ROOM - 1)) == 0, "ROOM must be a power of two");

 public:
  typedef TimedSample<WIDTH> Sample;

  bool push(const Sample &sample) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) >= ROOM) {
      return false;
    }
    samples_[head % ROOM] = sample;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  size_t count() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed);
  }

  // The sample `index` places behind the oldest; index < count().
  const Sample &at(size_t index) const {
    return samples_[(tail_.load(std::memory_order_relaxed) + (uint32_t)index) % ROOM];
  }

  void drop(size_t count) {
    tail_.store(tail_.load(std::memory_order_relaxed) + (uint32_t)count, std::memory_order_release);
  }

 private:
  Sample samples_[ROOM];
  std::atomic<uint32_t> head_{0};
  std::atomic<uint32_t> tail_{0};
};

}  // namespace semg
