/**
 * The words of the pages, in both languages. Each room adds its own with `addTexts`.
 *
 * `t("chat.until", { time })` puts values in for `{time}`. For numbers a text may have two forms, parted by a bar:
 * `"{n} message|{n} messages"`; Indonesian needs one.
 */
import { language } from "./preferences.js";

/** @typedef {Record<string, string>} Words */

/** @type {{id: Words, en: Words}} */
const words = { id: {}, en: {} };

/** @param {{id: Words, en: Words}} added */
export function addTexts(added) {
  Object.assign(words.id, added.id);
  Object.assign(words.en, added.en);
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const found = words[language.value][key] ?? words.en[key] ?? key;
  const forms = found.split("|");
  const chosen = forms.length > 1 && Number(values.n) !== 1 ? forms[1] : forms[0];
  return chosen.replace(/{(\w+)}/g, (whole, name) => String(values[name] ?? whole));
}

/** Whether there are words for a key. @param {string} key */
export const hasText = (key) => key in words.en;

addTexts({
  id: {
    "app.name": "Ruang Diri",
    "app.skip": "Langsung ke isi",
    "app.loading": "Memuat …",
    "app.menu": "Menu",
    "app.language": "Bahasa",
    "app.theme": "Tampilan",
    "app.theme.system": "Ikut perangkat",
    "app.theme.light": "Terang",
    "app.theme.dark": "Gelap",
    "app.signOut": "Keluar",
    "app.signOut.ask": "Keluar sekarang?",
    "app.signOut.loses": "Ada tulisan Anda yang belum terkirim atau belum tersimpan di layanan. Jika keluar, tulisan itu dihapus dari perangkat ini.",
    "app.close": "Tutup",
    "app.back": "Kembali",
    "app.retry": "Coba lagi",
    "app.cancel": "Batal",
    "app.save": "Simpan",
    "app.saved": "Tersimpan",
    "app.offline": "Tidak ada sambungan. Yang Anda tulis tetap tersimpan.",
    "app.away": "Layanan sedang tidak bisa dihubungi. Kami mencoba lagi.",
    "app.notFound": "Halaman ini tidak ada",
    "app.toStart": "Ke halaman awal",
    "app.crash": "Ada yang rusak di halaman ini",
    "app.crash.text": "Yang Anda tulis tetap tersimpan. Muat ulang halaman untuk melanjutkan.",
    "app.reload": "Muat ulang",
    "app.request": "Nomor permintaan: {id}",
    "app.today": "Hari ini",
    "app.tomorrow": "Besok",
    "app.yesterday": "Kemarin",
    "help.open": "Bantuan darurat",
    "help.title": "Butuh bantuan sekarang?",
    "help.text": "Jika Anda atau orang lain dalam bahaya, jangan menunggu sesi. Hubungi salah satu di bawah ini.",
    "help.call": "Telepon {phone}",
    "help.none": "Organisasi Anda belum mencantumkan kontak. Dalam keadaan darurat, hubungi nomor darurat setempat, di Indonesia 112.",
    "help.reviewed": "Diperiksa {date}",
    "error.OFFLINE": "Layanan tidak bisa dihubungi. Periksa sambungan Anda.",
    "error.UNAVAILABLE": "Layanan sedang sibuk. Coba lagi sebentar.",
    "error.RATE_LIMITED": "Terlalu cepat. Coba lagi sebentar.",
    "error.FORBIDDEN": "Anda tidak punya izin untuk ini.",
    "error.UNAUTHENTICATED": "Anda perlu masuk lagi.",
    "error.INTERNAL": "Ada kesalahan pada layanan. Coba lagi; jika berulang, laporkan nomor di bawah.",
    "error.NOT_FOUND": "Ini tidak ditemukan.",
    "error.SESSION_NOT_FOUND": "Sesi ini tidak ditemukan.",
    "error.NOT_PARTICIPANT": "Anda bukan peserta sesi ini.",
    "error.SESSION_ENDED": "Sesi ini telah berakhir.",
    "error.CHAT_NOT_ENABLED": "Sesi ini belum dibuka.",
    "error.PSYCHOLOGIST_LIMIT": "Psikolog sudah penuh pada waktu itu. Pilih waktu lain.",
    "error.CLIENT_LIMIT": "Anda sudah punya sesi pada waktu itu.",
    "error.NO_PSYCHOLOGIST": "Tidak ada psikolog yang tersedia pada waktu itu. Pilih waktu lain.",
    "error.PENDING_LIMIT": "Anda sudah punya banyak sesi yang akan datang.",
    "error.TOO_LATE": "Sudah terlalu dekat dengan waktu mulai.",
    "error.ILLEGAL_TRANSITION": "Itu tidak bisa dilakukan lagi pada sesi ini.",
    "error.VALIDATION_FAILED": "Ada isian yang belum benar.",
    "error.PAYLOAD_TOO_LARGE": "Berkas terlalu besar.",
    "error.other": "Itu tidak berhasil.",
  },
  en: {
    "app.name": "Ruang Diri",
    "app.skip": "Skip to content",
    "app.loading": "Loading …",
    "app.menu": "Menu",
    "app.language": "Language",
    "app.theme": "Appearance",
    "app.theme.system": "As the device",
    "app.theme.light": "Light",
    "app.theme.dark": "Dark",
    "app.signOut": "Sign out",
    "app.signOut.ask": "Sign out now?",
    "app.signOut.loses": "Something you wrote is not sent yet, or not saved by the service. If you sign out, it is deleted from this device.",
    "app.close": "Close",
    "app.back": "Back",
    "app.retry": "Try again",
    "app.cancel": "Cancel",
    "app.save": "Save",
    "app.saved": "Saved",
    "app.offline": "There is no connection. What you write is kept.",
    "app.away": "The service cannot be reached. We keep trying.",
    "app.notFound": "This page does not exist",
    "app.toStart": "To the start page",
    "app.crash": "Something on this page has broken",
    "app.crash.text": "What you have written is kept. Reload the page to go on.",
    "app.reload": "Reload",
    "app.request": "Request number: {id}",
    "app.today": "Today",
    "app.tomorrow": "Tomorrow",
    "app.yesterday": "Yesterday",
    "help.open": "Urgent help",
    "help.title": "Do you need help now?",
    "help.text": "If you or another person is in danger, do not wait for a session. Call one of these.",
    "help.call": "Call {phone}",
    "help.none": "Your organisation has named no contacts yet. In an emergency call your local emergency number, 112 in Indonesia.",
    "help.reviewed": "Checked on {date}",
    "error.OFFLINE": "The service cannot be reached. Check your connection.",
    "error.UNAVAILABLE": "The service is busy. Try again in a moment.",
    "error.RATE_LIMITED": "Too fast. Try again in a moment.",
    "error.FORBIDDEN": "You do not have permission to do this.",
    "error.UNAUTHENTICATED": "You need to sign in again.",
    "error.INTERNAL": "The service made a mistake. Try again; if it goes on, report the number below.",
    "error.NOT_FOUND": "This was not found.",
    "error.SESSION_NOT_FOUND": "This session was not found.",
    "error.NOT_PARTICIPANT": "You do not take part in this session.",
    "error.SESSION_ENDED": "This session has ended.",
    "error.CHAT_NOT_ENABLED": "This session has not been opened yet.",
    "error.PSYCHOLOGIST_LIMIT": "The psychologist is fully booked at this time. Choose another.",
    "error.CLIENT_LIMIT": "You already have a session at this time.",
    "error.NO_PSYCHOLOGIST": "No psychologist is available at this time. Choose another.",
    "error.PENDING_LIMIT": "You already have many sessions ahead.",
    "error.TOO_LATE": "It is too close to the start for this.",
    "error.ILLEGAL_TRANSITION": "This session no longer allows that.",
    "error.VALIDATION_FAILED": "Something you entered is not right yet.",
    "error.PAYLOAD_TOO_LARGE": "The file is too large.",
    "error.other": "That did not work.",
  },
});

/**
 * Say an error in the reader's words.
 *
 * @param {any} error an ApiError, or whatever was thrown
 */
export function errorText(error) {
  return hasText(`error.${error?.code}`) ? t(`error.${error.code}`) : t("error.other");
}
