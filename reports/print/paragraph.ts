/** Paragraphs for a terminal. */
import { wrap } from './table.ts';

/** The text in lines of at most `width`, each set in by `by` spaces, those after the first by `hang` more. */
export function paragraph(text: string, width: number, by = 0, hang = 0): string[] {
  const margin = ' '.repeat(by);
  return wrap(text, width - by, ' '.repeat(hang)).map((line) => margin + line);
}
