/** The commands, in the order in which the help lists them. */
import type { AnyCommand } from '../command.ts';
import { claims } from './claims.ts';
import { compare } from './compare.ts';
import { completion } from './completion.ts';
import { conform } from './conform.ts';
import { calibrate } from './costs/calibrate.ts';
import { costs } from './costs/costs.ts';
import { diff } from './diff.ts';
import { explain } from './explain.ts';
import { exportTrace } from './export.ts';
import { list } from './list.ts';
import { replay } from './replay.ts';
import { report } from './report.ts';
import { series } from './series.ts';
import { bench } from './speed/bench.ts';
import { gate } from './speed/gate.ts';
import { verify } from './verify.ts';

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
  verify,
  bench,
  gate,
  completion,
  costs,
  calibrate,
];

/** What runs when no command is named. */
export const defaultCommand = compare;
