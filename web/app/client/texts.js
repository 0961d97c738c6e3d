/** The words of the client's page. */
import { addTexts } from "../texts.js";

addTexts({
  id: {
    "client.sessions": "Sesi saya",
    "client.book": "Buat janji",
    "client.session": "Sesi",
  },
  en: {
    "client.sessions": "My sessions",
    "client.book": "Book a session",
    "client.session": "Session",
  },
});
