/** Recorded cases, one JSON object a line, plain or gzipped: read and checked line by line. */
import { caseSchema, type OracleCase } from '../../scenarios/conform/case.ts';
import { UsageError } from '../io.ts';
import { check, parseJson, readText } from './input.ts';

/** Reads a file of cases. */
export async function readCases(path: string, cwd: string): Promise<readonly OracleCase[]> {
  return parseCases(await readText(path, cwd), path);
}

/** Cases out of text; `where` names it in messages. */
export function parseCases(text: string, where: string): readonly OracleCase[] {
  const cases: OracleCase[] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const at = `${where}:${i + 1}`;
    cases.push(check(parseJson(line, at), caseSchema, `${at}: not a recorded case`));
  });
  if (cases.length === 0) throw new UsageError(`${where}: no case in it`);
  return cases;
}
