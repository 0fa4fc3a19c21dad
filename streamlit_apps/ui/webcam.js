// The webcam: its picture for the person before it, mirrored as in a mirror, and the same camera's frames to the server,
// not mirrored, by WebRTC. The server says when to connect anew.
import { Kept, partIn } from "./kept.js";

const GATHER_MS = 3000;  // addresses that a STUN or TURN server has not named by then are left out of the offer
const WHY = {
  NotAllowedError: "The browser does not let this page use the webcam. Allow it (next to the address bar), then switch it " +
    "off and on here.",
  NotFoundError: "This computer has no webcam, or the browser cannot find it.",
  NotReadableError: "Another program is using the webcam. Close it, then switch the webcam off and on here.",
  OverconstrainedError: "The webcam cannot provide the requested picture size.",
};

// One connection to the server: it makes an offer, and takes the answer to that offer only.
export class Sender {
  constructor(stream, iceServers) {
    this.number = crypto.randomUUID();
    this.connection = new RTCPeerConnection({ iceServers });
    for (const track of stream.getVideoTracks()) {
      this.connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    }
  }

  async offer() {
    await this.connection.setLocalDescription(await this.connection.createOffer());
    await this.gathered();
    return { number: this.number, sdp: this.connection.localDescription.sdp };
  }

  gathered() {
    return new Promise((resolve) => {
      const look = () => { if (this.connection.iceGatheringState === "complete") resolve(); };
      this.connection.addEventListener("icegatheringstatechange", look);
      setTimeout(resolve, GATHER_MS);
      look();
    });
  }

  take(answer) {
    const waits = this.connection.signalingState === "have-local-offer";
    if (!waits || !answer || answer.number !== this.number || !answer.sdp) return Promise.resolve();
    return this.connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  close() { this.connection.close(); }
}

class Webcam extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    mount.replaceChildren();
    this.video = document.createElement("video");
    this.video.setAttribute("aria-label", "The webcam");
    Object.assign(this.video, { autoplay: true, muted: true, playsInline: true });
    this.why = document.createElement("div");
    this.why.className = "why";
    mount.append(this.video, this.why);
  }

  update(data, tell) {
    Object.assign(this, { data, tell });
    if (this.attempt !== data.attempt) {
      this.attempt = data.attempt;
      this.connect();
    } else if (this.sender) {
      this.sender.take(data.answer).catch((error) => console.warn("the webcam's answer was not taken:", error.message));
    }
  }

  async connect() {
    const attempt = this.attempt;
    this.hangUp();
    const stream = await this.camera();
    if (!stream || attempt !== this.attempt) return;
    const sender = this.sender = new Sender(stream, this.data.ice_servers);
    try {
      const offer = await sender.offer();
      if (sender === this.sender) this.tell("offer", offer);
    } catch (error) {
      if (sender === this.sender) this.refuse(`The webcam cannot be connected: ${error.message}`);
    }
  }

  // The camera's stream, opened once; anew when the camera has ended, as one that was unplugged.
  async camera() {
    if (this.opening) return this.opening;
    if (this.stream && this.stream.getTracks().every((track) => track.readyState === "live")) return this.stream;
    this.opening = this.open();
    try { return await this.opening; } finally { this.opening = null; }
  }

  async open() {
    if (!navigator.mediaDevices) {
      return this.refuse("A webcam needs HTTPS when the browser is on another machine: start with ./start_all.sh --lan");
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia(this.data.constraints);
      this.darken();
      this.stream = stream;
      if (this.disposed) return this.darken();
      this.video.srcObject = stream;
      this.mount.classList.remove("refused");
      this.mount.dataset.state = "shown";
      return stream;
    } catch (error) {
      return this.refuse(WHY[error.name] || `The webcam cannot be used: ${error.message}`);
    }
  }

  refuse(sentence) {
    this.why.textContent = sentence;
    this.mount.classList.add("refused");
    this.mount.dataset.state = "refused";
    return null;
  }

  hangUp() {
    if (this.sender) this.sender.close();
    this.sender = null;
  }

  darken() {
    if (this.stream) this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    return null;
  }

  dispose() {
    this.hangUp();
    this.darken();
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const webcam = partIn(parentElement.querySelector(".semg-webcam"), (mount) => new Webcam(mount));
  webcam.update(data, setStateValue);
  return () => webcam.disposeSoon();
}
