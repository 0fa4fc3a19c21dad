// What a gesture is called by who performs it: names are those to be read, by stored name.
export const named = (names, gesture) => (names && Object.hasOwn(names, gesture) ? names[gesture] : gesture);
