/** Recorded cases, one JSON object a line, plain or gzipped: read and checked line by line. */
import { z } from 'zod';
import type { OracleCase } from '../../scenarios/conform/conform-case.ts';
import { UsageError } from '../io.ts';
import { checkLimits } from './case-limits.ts';
import { check, parseJson, readText } from './input.ts';

const int = z.int();
const hex = z.string().regex(/^([0-9a-f]{2})*$/i, 'has to be pairs of hex digits');

const outcome = z.looseObject({
  slots: z.array(int),
  exits: z.array(z.looseObject({})),
  errno: int,
  regs: z.array(z.string()).optional(),
  rip: z.string().optional(),
  rflags: z.string().optional(),
  mem: z.record(z.string(), z.string()).optional(),
  wanders: z.boolean().optional(),
});

const recordedCase = z.looseObject({
  id: z.string(),
  mode: z.enum(['real16', 'prot32', 'long64']),
  slots: z.array(
    z.looseObject({
      id: int,
      gpa: int,
      size: int,
      flags: int,
      type: z.enum(['shm', 'anon', 'priv', 'file']),
      prot: z.enum(['r', 'rw']),
      fill: int,
    }),
  ),
  load: z.array(z.looseObject({ gpa: int, hex })),
  segs: z.record(z.string(), int),
  regs: z.record(z.string(), z.number()),
  cr3: int.optional(),
  mmioRead: int,
  maxExits: int,
  actions: z.array(
    z.looseObject({
      verb: z.enum(['flags', 'delete', 'create', 'mprotect', 'poke', 'evict', 'dirty']),
      slot: int,
    }),
  ),
  asm: z.string(),
  expect: z.record(z.string(), outcome),
  notRun: z.array(z.string()).optional(),
});

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
    const found = check(parseJson(line, at), recordedCase, `${at}: not a recorded case`);
    const c = found as unknown as OracleCase;
    checkLimits(c, at);
    cases.push(c);
  });
  if (cases.length === 0) throw new UsageError(`${where}: no case in it`);
  return cases;
}
