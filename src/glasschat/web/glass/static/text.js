// How tokens and numbers are written.

const SIGNS = new Map([["\n", "⏎"], ["\t", "⇥"], ["\r", "␍"], ["\u00a0", "⍽"]]);
// Control and format characters, direction marks among them, would act instead of being seen.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/gu;

function sign(character) {
  const code = character.codePointAt(0);
  if (SIGNS.has(character)) return SIGNS.get(character);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

function bytes(name) {
  return `⟨${name.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ")}⟩`;
}

// A token's name with all of it visible; bytes that are no text by themselves as numbers.
export function visible(name) {
  if (Array.isArray(name)) return bytes(name);
  if (name === "") return "∅";
  return name.replace(UNSEEN, sign).replaceAll(" ", "·");
}

// The same as part of running text: it breaks where the text does.
export function running(name) {
  if (Array.isArray(name)) return [bytes(name)];
  return name.split(/( |\n)/).filter((part) => part !== "").map((part) => {
    const mark = document.createElement("i");
    if (part === " ") mark.textContent = "\u200b·";
    else if (part === "\n") mark.textContent = "⏎\n";
    else return part.replace(UNSEEN, sign);
    return mark;
  });
}

export class Format {
  constructor(language) {
    const made = (options) => new Intl.NumberFormat(language, options);
    this._plain = made({});
    this._one = made({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this._two = made({ style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
    this._score = made({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }

  count(number) { return this._plain.format(number); }

  share(number) {
    if (number === null || number === undefined) return "–";
    if (number > 0 && number < 0.0001) return `<${this._two.format(0.0001)}`;
    return (number < 0.1 ? this._two : this._one).format(number);
  }

  score(number) {
    if (number === null || number === undefined) return "–";
    return Number.isFinite(number) ? this._score.format(number) : "−∞";
  }

  bits(number, word) { return number === null || number === undefined ? "–" : `${this.score(number)} ${word}`; }
}
