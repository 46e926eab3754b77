/**
 * The guest of a replay: a loop in flat 32-bit mode that takes accesses from a table, a row each, and asks the VMM for the
 * next table when it is through. Memory it may be sent to as code holds `ret` everywhere, and it stores nothing else.
 */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import type { Access } from './access.ts';

/** The port on which it asks. */
export const ASK_PORT = 0xe0;
/** `ret`. */
export const RET = 0xc3;
/** Bytes of a row, and rows of a table of one page; the last row is the one that asks. */
export const ROW_BYTES = 8;
export const ROWS = PAGE_SIZE / ROW_BYTES - 1;

/** Where its parts are, in pages from its start. */
export const CODE_PAGE = 0;
export const TABLE_PAGE = 1;
/** The stack grows down to the page before. */
export const STACK_END = 4;

/** What a row asks for: index into the table of jumps. */
const ASK = 0;
const READ = [1, 2, 3] as const;
const WRITE = [4, 5, 6] as const;
const FETCH = 7;

/** Offset of the table of jumps in the code page. */
const JUMPS = 0x100;

/** The code page, to be placed at `base`. */
export function codePage(base: number): Uint8Array {
  const table = base + TABLE_PAGE * PAGE_SIZE;
  const code: number[] = [];
  const ops: number[] = [];
  const at = (): number => base + code.length;
  const dword = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
  // cmd: movzx eax, byte [esi+4]; mov edi, [esi]; mov edx, eax; mov eax, c3c3c3c3h; jmp [edx*4+jumps]
  code.push(0x0f, 0xb6, 0x46, 4, 0x8b, 0x3e, 0x89, 0xc2, 0xb8, RET, RET, RET, RET);
  code.push(0xff, 0x24, 0x95, ...dword(base + JUMPS));
  // next: add esi, 8; jmp cmd
  const next = code.length;
  code.push(0x83, 0xc6, ROW_BYTES, 0xeb, -(code.length + 5) & 0xff);
  const handler = (bytes: readonly number[]): void => {
    ops.push(at());
    code.push(...bytes, 0xe9);
    code.push(...dword(next - code.length - 4));
  };
  // ask: out e0h, al; mov esi, table - 8
  handler([0xe6, ASK_PORT, 0xbe, ...dword(table - ROW_BYTES)]);
  // mov al, [edi]; mov ax, [edi]; mov eax, [edi]
  for (const load of [
    [0x8a, 0x07],
    [0x66, 0x8b, 0x07],
    [0x8b, 0x07],
  ])
    handler(load);
  // mov [edi], al; mov [edi], ax; mov [edi], eax
  for (const store of [
    [0x88, 0x07],
    [0x66, 0x89, 0x07],
    [0x89, 0x07],
  ])
    handler(store);
  // call edi
  handler([0xff, 0xd7]);
  const page = new Uint8Array(PAGE_SIZE);
  page.set(code);
  ops.forEach((address, i) => {
    page.set(dword(address), JUMPS + 4 * i);
  });
  return page;
}

/** The table of some accesses, at most `ROWS` of them. */
export function tableOf(accesses: readonly Access[]): Uint8Array {
  const page = new Uint8Array((accesses.length + 1) * ROW_BYTES);
  const view = new DataView(page.buffer);
  accesses.forEach((access, i) => {
    view.setUint32(i * ROW_BYTES, access.gpa, true);
    page[i * ROW_BYTES + 4] = opOf(access);
  });
  page[accesses.length * ROW_BYTES + 4] = ASK;
  return page;
}

/** Widths are those of the guest's instructions: a wider access is made four bytes wide. */
function opOf({ kind, len, gpa }: Access): number {
  if (kind === 'fetch') return FETCH;
  const ops = kind === 'write' ? WRITE : READ;
  const room = PAGE_SIZE - (gpa % PAGE_SIZE);
  return len >= 4 && room >= 4 ? ops[2] : len >= 2 && room >= 2 ? ops[1] : ops[0];
}
