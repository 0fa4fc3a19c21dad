// Phrases by voice and by vibration, on this device alone.

const PATTERNS_MS = { asked: [40], said: [140], undone: [40, 70, 40], dropped: [20, 70, 20] };

export class Speech {
  constructor(language, onVoices) {
    this.language = language;
    this.onVoices = onVoices;
    this.spoken = 0;
    window.speechSynthesis?.addEventListener("voiceschanged", this.onVoices);
  }

  // Only voices of this device: those of a remote service would be sent the phrase.
  voice() {
    const voices = (window.speechSynthesis?.getVoices() || []).filter((voice) => voice.localService);
    const language = (this.language || navigator.language || "").slice(0, 2);
    return voices.find((voice) => voice.lang.startsWith(language)) || voices[0] || null;
  }

  speak(phrase) {
    const voice = this.voice();
    if (voice === null) return;
    const utterance = new SpeechSynthesisUtterance(phrase);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    window.speechSynthesis.cancel();
    window.speechSynthesis.speak(utterance);
    this.spoken += 1;
  }

  hush() { window.speechSynthesis?.cancel(); }

  static canVibrate() { return typeof navigator.vibrate === "function"; }

  vibrate(what) {
    if (Speech.canVibrate() && PATTERNS_MS[what]) navigator.vibrate(PATTERNS_MS[what]);
  }

  dispose() {
    window.speechSynthesis?.removeEventListener("voiceschanged", this.onVoices);
  }
}
