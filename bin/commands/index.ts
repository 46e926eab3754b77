/** The commands, in the order in which the help lists them. */
import type { AnyCommand } from '../command.ts';
import { bench } from './bench.ts';
import { calibrate } from './calibrate.ts';
import { claims } from './claims.ts';
import { compare } from './compare.ts';
import { completion } from './completion.ts';
import { conform } from './conform.ts';
import { costs } from './costs.ts';
import { diff } from './diff.ts';
import { explain } from './explain.ts';
import { exportTrace } from './export.ts';
import { gate } from './gate.ts';
import { list } from './list.ts';
import { replay } from './replay.ts';
import { report } from './report.ts';
import { series } from './series.ts';

/** All commands. */
export const commands: readonly AnyCommand[] = [
  compare,
  list,
  explain,
  claims,
  series,
  report,
  diff,
  exportTrace,
  replay,
  conform,
  bench,
  gate,
  completion,
  costs,
  calibrate,
];

/** What runs when no command is named. */
export const defaultCommand = compare;
