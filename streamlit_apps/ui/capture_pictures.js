// Keeps the pictures and videos of the gestures for the prompt, which is told anew every second: they are sent once.

export default function ({ data }) {
  const kept = (window.semgPictures ||= new Map());
  for (const [name, [type, content]] of Object.entries(data.pictures)) {
    const known = kept.get(name);
    if (known && known.content === content) continue;
    if (known) URL.revokeObjectURL(known.url);
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    kept.set(name, { type, content, url: URL.createObjectURL(new Blob([bytes], { type })) });
  }
  for (const [name, { url }] of kept) {
    if (name in data.pictures) continue;
    URL.revokeObjectURL(url);
    kept.delete(name);
  }
}
