// The sketch's download: the Wi-Fi is put into it here, so that its password never leaves this browser.

const MAX_SSID_BYTES = 32;
const MAX_PASSWORD_BYTES = 63;
const utf8 = new TextEncoder();

// A text as the content of a C++ string literal: bytes of UTF-8, octal where a character would mean something there.
// Three octal digits end by themselves, which hexadecimal ones do not; "??" could begin a trigraph.
const literal = (text) => [...utf8.encode(text)].map((byte) => (
  byte >= 0x20 && byte < 0x7f && !'"\\?'.includes(String.fromCharCode(byte))
    ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`
)).join("");

const filled = (text, data, ssid, password) => [[data.ssid, ssid], [data.password, password]].reduce(
  (made, [mark, value]) => made.split(`"${mark}"`).join(`"${literal(value)}"`), text,
);

// Why a name and a password cannot be those of a Wi-Fi; empty when they can.
const refused = (ssid, password) => {
  const [name, secret] = [utf8.encode(ssid).length, utf8.encode(password).length];
  if (!name) return "Enter the name of the Wi-Fi first.";
  if (name > MAX_SSID_BYTES) return "Shorten the name of the Wi-Fi: it has at most 32 bytes.";
  if (`${ssid}${password}`.includes("\0")) return "Remove the character with the number 0.";
  if (secret && (secret < 8 || secret > MAX_PASSWORD_BYTES)) {
    return "Enter a password of 8 to 63 characters, or none for an open Wi-Fi.";
  }
  return "";
};

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const crc32 = (bytes) => {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
};

// Fields of a ZIP header, little-endian: [bytes, value] each.
const packed = (fields) => {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
};

// A ZIP archive of texts by name, stored as they are (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).
const zip = (files) => {
  const parts = [];
  const index = [];
  let at = 0;
  const add = (list, bytes) => {
    list.push(bytes);
    return bytes.length;
  };
  for (const [name, text] of Object.entries(files)) {
    const [label, content] = [utf8.encode(name), utf8.encode(text)];
    // Version 2.0, names in UTF-8, not compressed, 1 January 2026.
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, ((2026 - 1980) << 9) | (1 << 5) | 1], [4, crc32(content)],
      [4, content.length], [4, content.length], [2, label.length], [2, 0]];
    const start = at;
    at += add(parts, packed([[4, 0x04034b50], ...common])) + add(parts, label) + add(parts, content);
    index.push(packed([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, start]]), label);
  }
  const size = index.reduce((sum, one) => sum + one.length, 0);
  const n = Object.keys(files).length;
  const end = packed([[4, 0x06054b50], [2, 0], [2, 0], [2, n], [2, n], [4, size], [4, at], [2, 0]]);
  return new Blob([...parts, ...index, end], { type: "application/zip" });
};

const archive = (data, ssid, password) => zip(Object.fromEntries(Object.entries(data.files).map(([name, text]) => [
  `${data.folder}/${name}`, name === data.main ? filled(text, data, ssid, password) : text,
])));

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

class Form {
  constructor(mount) {
    const form = element("form");
    this.ssid = this.field(form, "Wi-Fi name", "text");
    this.password = this.field(form, "Wi-Fi password", "password");
    const act = element("button", "", "Download the sketch");
    act.type = "submit";
    this.said = element("p", "said");
    this.said.setAttribute("role", "status");
    form.append(act, this.said);
    form.noValidate = true;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.download();
    });
    mount.replaceChildren(form);
  }

  field(form, label, type) {
    const box = element("label", "", label);
    const made = Object.assign(element("input"), { type, autocomplete: "off", spellcheck: false });
    made.setAttribute("autocapitalize", "off");
    box.append(made);
    form.append(box);
    return made;
  }

  download() {
    const why = refused(this.ssid.value, this.password.value);
    this.said.textContent = why;
    this.said.className = why ? "said wrong" : "said";
    if (why) return void this.ssid.focus();
    const link = element("a");
    link.href = URL.createObjectURL(archive(this.data, this.ssid.value, this.password.value));
    link.download = `${this.data.folder}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    this.password.value = "";
    this.said.textContent = "Downloaded. Unpack it, open arduinocode.ino in the Arduino IDE, choose your board, upload.";
    this.tell();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const mount = parentElement.querySelector(".semg-sketch");
  mount.semgForm ??= new Form(mount);
  mount.semgForm.data = data;
  mount.semgForm.tell = () => setTriggerValue("downloaded", Date.now());
}
