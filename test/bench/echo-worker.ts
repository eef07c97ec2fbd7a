import { encodeFrame, FLAGS } from "../../src/adapters/goridge/frame.ts";

/*
 * A worker that answers at once and does nothing: what the daemon costs shows without PHP. It looks at headers only:
 * control frames are answered with its pid, all others are acknowledged; everything of one chunk in one write.
 */

const ACK_BODY = Buffer.from('{"type":0,"data":[]}');
const ACK = encodeFrame(0, [ACK_BODY.length], [ACK_BODY]);
const PID = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from(JSON.stringify({ pid: process.pid }))]);
const FIXED_HEADER_BYTES = 12;

let rest: Buffer = Buffer.alloc(0);

process.stdin.on("data", (chunk: Buffer) => {
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
  const answers: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= FIXED_HEADER_BYTES) {
    const headerBytes = ((bytes[at] ?? 0) & 0x0f) * 4;
    const end = at + headerBytes + bytes.readUInt32LE(at + 2);
    if (end > bytes.length) break;
    const control = ((bytes[at + 1] ?? 0) & FLAGS.control) !== 0;
    if (control && bytes.includes('"stop"', at + headerBytes)) process.exit(0);
    answers.push(control ? PID : ACK);
    at = end;
  }
  rest = bytes.subarray(at);
  if (answers.length > 0) process.stdout.write(Buffer.concat(answers));
});
process.stdin.on("end", () => process.exit(0));
