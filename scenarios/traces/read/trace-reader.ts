/**
 * A trace, line by line: what is understood goes on as events, everything else is counted under its name, and what
 * should have been understood and was not is kept with its number. Holds no more after ten million lines than after ten.
 */
import { isRemark, lostEvents, type Split, splitLine } from './columns.ts';
import { parserOf } from './event-text.ts';
import { flashAccess, isFlashAccess, slotCall, traceName, unstamped } from './qemu-log.ts';
import type { EventName, TraceEvent } from './trace-event.ts';

/** Lines that were not understood and are shown; the others are only counted. */
const MALFORMED_SHOWN = 10;
/** Characters of such a line. */
const SHOWN_CHARACTERS = 160;
/** Names of events that nobody asked for are counted apart up to so many. */
const OTHER_NAMES_MAX = 200;

/** A line that was not understood. */
export interface MalformedLine {
  readonly line: number;
  readonly text: string;
  /** The event it should have been, if it was one by its columns. */
  readonly event?: string;
}

/** What a trace was made of. */
export interface TraceSummary {
  readonly lines: number;
  /** Heads, comments and empty lines. */
  readonly remarks: number;
  /** Events understood, by name. */
  readonly events: Readonly<Partial<Record<EventName, number>>>;
  /** Other events, by name: none of this program's business. */
  readonly others: Readonly<Record<string, number>>;
  readonly malformed: number;
  /** The first of them. */
  readonly malformedLines: readonly MalformedLine[];
  /** Events the tracer lost, as far as it says. */
  readonly lost: number;
  /** Places where it lost some. */
  readonly gaps: number;
  /** Seconds of the first and the last event. */
  readonly firstTime: number;
  readonly lastTime: number;
}

/** Reads a trace; `onEvent` hears of each event in order. */
export class TraceReader {
  readonly #onEvent: (event: TraceEvent) => void;
  readonly #events: Partial<Record<EventName, number>> = {};
  readonly #others: Record<string, number> = {};
  readonly #malformedLines: MalformedLine[] = [];
  readonly #split: Split = { task: '', thread: 0, cpu: 0, time: 0, event: '', text: '' };
  #otherNames = 0;
  #lines = 0;
  #remarks = 0;
  #malformed = 0;
  #lost = 0;
  #gaps = 0;
  #firstTime = 0;
  #lastTime = 0;
  #timed = false;

  constructor(onEvent: (event: TraceEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Takes the next line, without its line feed; a trace that came over a serial console has a return before it. */
  line(raw: string): void {
    this.#lines += 1;
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const split = this.#split;
    if (!splitLine(text, split)) this.#noEvent(text);
    else this.#event(text, split);
  }

  #event(line: string, split: Split): void {
    const { event, text, time } = split;
    if (!this.#timed) this.#firstTime = time;
    this.#timed = true;
    this.#lastTime = time;
    const parse = parserOf(event, text);
    if (parse === undefined) {
      this.#other(event);
      return;
    }
    const parsed = parse(text, {
      line: this.#lines,
      time,
      thread: split.thread,
      cpu: split.cpu,
      task: split.task,
    });
    if (parsed === undefined) this.#notUnderstood(line, event);
    else this.#tell(parsed);
  }

  #tell(event: TraceEvent): void {
    this.#events[event.event] = (this.#events[event.event] ?? 0) + 1;
    this.#onEvent(event);
  }

  /** Not an event by its columns: a remark, a loss, a line of QEMU's log between them, or nothing we know. */
  #noEvent(text: string): void {
    const lost = lostEvents(text);
    if (lost !== undefined) {
      this.#lost += lost;
      this.#gaps += 1;
    } else if (isRemark(text)) this.#remarks += 1;
    else this.#qemuLine(text.trim());
  }

  /** A line of QEMU's own log: it may stand among the events, or be a file of its own. */
  #qemuLine(line: string): void {
    const { text, time } = unstamped(line);
    const name = traceName(text);
    const columns = { line: this.#lines, time: time ?? this.#lastTime, thread: 0, cpu: -1, task: 'qemu' };
    if (name === 'kvm_set_user_memory') {
      const call = slotCall(text);
      if (call !== undefined) this.#tell({ ...columns, event: 'kvm_set_user_memory', call });
      else this.#notUnderstood(line, name);
    } else if (isFlashAccess(name)) {
      const access = flashAccess(text);
      if (access !== undefined) this.#tell({ ...columns, event: 'pflash_io', access });
      else this.#notUnderstood(line, name);
    } else if (/^(?:kvm|pflash)_/.test(name)) this.#other(name);
    else this.#notUnderstood(line);
  }

  #other(event: string): void {
    const known = this.#others[event] !== undefined;
    const name = known || this.#otherNames < OTHER_NAMES_MAX ? event : '(more names)';
    if (!known) this.#otherNames += 1;
    this.#others[name] = (this.#others[name] ?? 0) + 1;
  }

  #notUnderstood(text: string, event?: string): void {
    this.#malformed += 1;
    if (this.#malformedLines.length >= MALFORMED_SHOWN) return;
    const shown = text.slice(0, SHOWN_CHARACTERS);
    this.#malformedLines.push({ line: this.#lines, text: shown, ...(event === undefined ? {} : { event }) });
  }

  /** What was read so far. */
  summary(): TraceSummary {
    return {
      lines: this.#lines,
      remarks: this.#remarks,
      events: { ...this.#events },
      others: { ...this.#others },
      malformed: this.#malformed,
      malformedLines: [...this.#malformedLines],
      lost: this.#lost,
      gaps: this.#gaps,
      firstTime: this.#firstTime,
      lastTime: this.#lastTime,
    };
  }
}
