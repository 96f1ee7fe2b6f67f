// nodemailer: so many mails of our size, each with a name of its own, over a pool of kept connections; no database.
// Arguments: port, mails, file with the HTML part, file with the text part. Prints {"per_s", "cpu_us"}.
import { readFileSync } from 'node:fs';
import nodemailer from 'nodemailer';

const [port, mails, htmlFile, textFile] = process.argv.slice(2);
const html = readFileSync(htmlFile, 'utf8');
const text = readFileSync(textFile, 'utf8');
const pool = nodemailer.createTransport({
  host: '127.0.0.1', port: Number(port), secure: false, ignoreTLS: true,
  pool: true, maxConnections: 20, maxMessages: Infinity,
});
const mail = (number) => ({
  from: 'Laden <laden@shop.example>', to: `customer${number}@mail.example`, subject: `Ihr Warenkorb, Kundin ${number}`,
  html: html.replaceAll('NAME', `Kundin ${number}`), text: text.replaceAll('NAME', `Kundin ${number}`),
});
await pool.sendMail(mail(0));
const began = performance.now();
const before = process.cpuUsage();
let next = 1;
const lane = async () => { while (next <= Number(mails)) await pool.sendMail(mail(next++)); };
await Promise.all(Array.from({ length: 40 }, lane));
const used = process.cpuUsage(before);
console.log(JSON.stringify({
  per_s: Number(mails) / (performance.now() - began) * 1000, cpu_us: (used.user + used.system) / Number(mails),
}));
pool.close();
