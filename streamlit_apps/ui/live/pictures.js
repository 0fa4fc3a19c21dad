// The pictures of the gestures: loaded once, when the view begins, because their addresses do not hold for ever.

import { el } from "./parts.js";

export class Pictures {
  constructor(mount) {
    this.mount = mount;
    this.images = new Map();
  }

  update(addresses) {
    for (const [name, image] of this.images) {
      if (name in addresses) continue;
      image.remove();
      this.images.delete(name);
    }
    for (const [name, address] of Object.entries(addresses)) {
      const known = this.images.get(name);
      // A renewed address of a picture that is here already is not asked again.
      if (known && (!known.failed || known.getAttribute("src") === address)) continue;
      known?.remove();
      const image = el("img", "picture");
      image.alt = "";  // the name stands beside it
      image.onerror = () => { image.failed = true; image.classList.remove("shown"); };
      image.src = address;
      this.mount.prepend(image);
      this.images.set(name, image);
    }
  }

  show(name) {
    for (const [own, image] of this.images) image.classList.toggle("shown", own === name && !image.failed);
  }
}
