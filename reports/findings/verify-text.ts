/** What `compare verify` found: a line a cell that differs, with both sides; the sum last. */
import type { Verified } from '../../scenarios/verify/verify.ts';
import { wrap } from '../print/table.ts';
import { count, plural } from '../print/words.ts';

/** The whole report. `kernel` is what it ran on; `leftOut` says what could not be compared and why. */
export function verifyText(
  found: readonly Verified[],
  kernel: string,
  leftOut: readonly string[],
  width: number,
): string {
  const lines: string[] = [];
  for (const v of found) {
    if (v.divergence === undefined) continue;
    const { where, core, kernel: real } = v.divergence;
    lines.push(
      ...wrap(`${v.scenario} under ${v.strategy}: ${where}`, width, '  '),
      ...wrap(`  core:   ${core}`, width, '          '),
      ...wrap(`  kernel: ${real}`, width, '          '),
      ...(v.known === undefined ? [] : wrap(`  known: ${v.known}`, width, '  ')),
      '',
    );
  }
  for (const text of leftOut) lines.push(...wrap(`Left out: ${text}.`, width, '    '));
  return `${[...lines, ...wrap(sentence(found, kernel), width)].join('\n')}\n`;
}

function sentence(found: readonly Verified[], kernel: string): string {
  const differ = found.filter((v) => v.divergence !== undefined);
  const known = differ.filter((v) => v.known !== undefined).length;
  const events = found.reduce((sum, v) => sum + v.events, 0);
  const runs = `${plural(found.length, 'run')} of ${count(events)} KVM_RUNs`;
  if (differ.length === 0)
    return `The core and ${kernel} agree in all ${runs}: every exit with its data, rip, registers, ROM.`;
  const explained = known > 0 ? ` (${count(known)} of them known)` : '';
  return `The core and ${kernel} agree in ${count(found.length - differ.length)} of ${runs}; ${count(differ.length)} differ${explained}.`;
}
