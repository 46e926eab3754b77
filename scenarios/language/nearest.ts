/** Names somebody may have mistyped: find what was meant. */

/** Edits (insert, delete, replace, swap neighbours) that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cost = new Array<number>((a.length + 1) * width).fill(0);
  const at = (i: number, j: number): number => cost[i * width + j] ?? 0;
  for (let i = 0; i <= a.length; i++) cost[i * width] = i;
  for (let j = 0; j <= b.length; j++) cost[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(i - 2, j - 2) + 1);
      }
      cost[i * width + j] = least;
    }
  }
  return at(a.length, b.length);
}

/**
 * The known name closest to what was typed, if it is close enough to be what was meant: at most `edits` away, or else
 * a third of its letters.
 */
export function nearest(typed: string, known: readonly string[], edits?: number): string | undefined {
  const word = typed.toLowerCase();
  let best: string | undefined;
  let least = (edits ?? Math.max(word.length > 3 ? 2 : 1, Math.floor(word.length / 3))) + 1;
  for (const name of known) {
    // A name begun but not finished (`rom-w`) is near, however much is missing.
    const distance =
      edits === undefined && word.length > 2 && name.startsWith(word)
        ? 1
        : editDistance(word, name.toLowerCase());
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** ` Did you mean X?`, or what there is to choose from, or nothing. Starts with a space when it says something. */
export function suggestion(typed: string, known: readonly string[], all: string): string {
  const near = nearest(typed, known);
  if (near !== undefined) return ` Did you mean ${near}?`;
  return known.length <= 12 ? ` There is: ${known.join(', ')}.` : ` ${all}`;
}
