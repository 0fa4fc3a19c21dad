// A part of a page that lives on through its reruns: Streamlit cleans up at each of them and comes back at once; after a
// change of the page it does not come back.
const DISPOSE_AFTER_MS = 500;

// What a part has to end, it ends in dispose().
export class Kept {
  keep() { clearTimeout(this.disposal); }

  disposeSoon() {
    clearTimeout(this.disposal);
    this.disposal = setTimeout(() => {
      this.disposed = true;
      this.dispose();
    }, DISPOSE_AFTER_MS);
  }
}

// The part that lives in an element, made when there is none.
export const partIn = (mount, make) => {
  if (!mount.semgPart || mount.semgPart.disposed) mount.semgPart = make(mount);
  mount.semgPart.keep();
  return mount.semgPart;
};
