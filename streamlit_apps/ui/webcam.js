// The webcam's picture for the person before it, mirrored as in a mirror. What is recorded goes another way and is
// not mirrored: streamlit-webrtc shows nothing while it only sends.
import { Kept, partIn } from "./kept.js";

const WHY = {
  NotAllowedError: "The browser does not let this page use the webcam. Allow it (next to the address bar), then switch it " +
    "off and on here.",
  NotFoundError: "This computer has no webcam, or the browser cannot find it.",
  NotReadableError: "Another program is using the webcam. Close it, then switch the webcam off and on here.",
  OverconstrainedError: "The webcam cannot provide the requested picture size.",
};

class Mirror extends Kept {
  constructor(mount, constraints) {
    super();
    this.mount = mount;
    mount.replaceChildren();
    this.video = document.createElement("video");
    this.video.setAttribute("aria-label", "The webcam");
    Object.assign(this.video, { autoplay: true, muted: true, playsInline: true });
    this.why = document.createElement("div");
    this.why.className = "why";
    mount.append(this.video, this.why);
    this.open(constraints);
  }

  async open(constraints) {
    if (!navigator.mediaDevices) {
      this.refuse("A webcam needs HTTPS when the browser is on another machine: start with ./start_all.sh --lan");
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      if (this.disposed) { stream.getTracks().forEach((track) => track.stop()); return; }
      this.stream = stream;
      this.video.srcObject = stream;
      this.mount.dataset.state = "shown";
    } catch (error) {
      this.refuse(WHY[error.name] || `The webcam cannot be used: ${error.message}`);
    }
  }

  refuse(sentence) {
    this.why.textContent = sentence;
    this.mount.classList.add("refused");
    this.mount.dataset.state = "refused";
  }

  dispose() {
    if (this.stream) this.stream.getTracks().forEach((track) => track.stop());
  }
}

export default function ({ parentElement, data }) {
  const mirror = partIn(parentElement.querySelector(".semg-webcam"), (mount) => new Mirror(mount, data.constraints));
  return () => mirror.disposeSoon();
}
