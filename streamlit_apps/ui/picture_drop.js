// One picture, dropped, pasted, chosen or taken with the webcam, drawn anew at a size that fits a prompt, then sent.
// Drawing it anew takes away what a camera writes beside the picture: place, time, device.
import { Kept, partIn } from "./kept.js";

const LONGEST_PX = 1024;
const COUNTDOWN_S = 3;
const TOO_LARGE = 24e6; // pixels; as the server has it

function fitted(width, height, longest = LONGEST_PX) {
  const share = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * share)), Math.max(1, Math.round(height * share))];
}

function pictureOf(transfer) {
  const files = [...(transfer?.files || [])];
  return files.find((file) => file.type.startsWith("image/")) || files[0] || null;
}

const el = (kind, name, text = "") => {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.textContent = text;
  return made;
};

const base64 = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
};

class PictureDrop extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    this.zone = el("div", "zone");
    this.zone.tabIndex = 0;
    this.zone.setAttribute("role", "group");
    this.zone.setAttribute("aria-label", "Picture: drop, paste, choose, or take one");
    this.idle = el("div");
    const buttons = el("div");
    const choose = this.button("Choose a picture", () => this.input.click());
    const take = this.button("Take a photo", () => this.film());
    this.input = el("input");
    Object.assign(this.input, { type: "file", accept: "image/*", hidden: true });
    this.input.addEventListener("change", () => this.take(pictureOf(this.input)));
    buttons.append(choose, take, this.input);
    this.idle.append(el("p", "", "Drop a picture here, or paste one (Ctrl V)."), buttons);
    this.camera = el("div");
    this.video = el("video");
    Object.assign(this.video, { muted: true, playsInline: true, autoplay: true });
    this.video.setAttribute("aria-label", "Webcam");
    this.shoot = this.button(`Take it in ${COUNTDOWN_S} seconds`, () => this.countDown());
    this.camera.append(this.video, this.shoot, this.button("Cancel", () => this.darken()));
    this.camera.hidden = true;
    this.said = el("p", "said");
    this.said.setAttribute("role", "status");
    this.zone.append(this.idle, this.camera, this.said);
    mount.replaceChildren(this.zone);
    for (const kind of ["dragenter", "dragover"]) {
      this.zone.addEventListener(kind, (event) => {
        event.preventDefault();
        this.zone.classList.add("over");
      });
    }
    this.zone.addEventListener("dragleave", () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.zone.classList.remove("over");
      this.take(pictureOf(event.dataTransfer));
    });
    this.paste = (event) => {
      const file = pictureOf(event.clipboardData);
      if (!file) return; // a text, for the field that has the focus
      event.preventDefault();
      this.take(file);
    };
    document.addEventListener("paste", this.paste);
  }

  button(text, act) {
    const made = el("button", "", text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  update(data, tell) {
    this.data = data;
    this.tell = tell;
    if (this.answered === data.answer) return;
    this.answered = data.answer;
    this.say("");
  }

  say(text, wrong = false) {
    this.said.textContent = text;
    this.said.classList.toggle("wrong", wrong);
  }

  async take(file) {
    if (!file) return;
    if (file.type.startsWith("video/")) {
      this.say("Use the field below for a video.", true);
      return;
    }
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      this.say("Choose another file: the browser cannot read this one as a picture.", true);
      return;
    }
    if (picture.width * picture.height > TOO_LARGE) this.say("Choose a smaller picture.", true);
    else await this.send(picture, picture.width, picture.height);
    picture.close();
  }

  async send(picture, width, height) {
    const canvas = el("canvas");
    let longest = LONGEST_PX, blob = null;
    while (longest >= 128) {
      [canvas.width, canvas.height] = fitted(width, height, longest);
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff"; // what shines through a picture is white, not black
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.88));
      if (blob && blob.size <= this.data.most_bytes) break;
      longest *= 0.75;
    }
    if (!blob || blob.size > this.data.most_bytes) {
      this.say("Choose a smaller picture.", true);
      return;
    }
    this.say("Saving …");
    this.tell("picture", { content: await base64(blob) });
  }

  async film() {
    this.say("");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 }, audio: false });
    } catch {
      this.say("Allow the webcam in the browser's address bar, or choose a picture: no webcam could be opened.", true);
      return;
    }
    this.video.srcObject = this.stream;
    this.idle.hidden = true;
    this.camera.hidden = false;
    this.shoot.focus();
  }

  countDown() {
    clearInterval(this.counting);
    let left = COUNTDOWN_S;
    const tick = () => {
      this.say(left > 0 ? `${left} …` : "");
      if (left > 0) {
        left -= 1;
        return;
      }
      clearInterval(this.counting);
      const { videoWidth: width, videoHeight: height } = this.video;
      if (width) this.send(this.video, width, height).finally(() => this.darken());
      else this.say("Wait until the webcam shows a picture, then try again.", true);
    };
    tick();
    this.counting = setInterval(tick, 1000);
  }

  darken() {
    clearInterval(this.counting);
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.camera.hidden = true;
    this.idle.hidden = false;
  }

  dispose() {
    this.darken();
    document.removeEventListener("paste", this.paste);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const drop = partIn(parentElement.querySelector(".semg-drop"), (mount) => new PictureDrop(mount));
  drop.update(data, setTriggerValue);
  return () => drop.disposeSoon();
}
