/** Ably's SDK, of which only what a chat needs is taken. */
import { BaseRealtime, Crypto, FetchRequest, RealtimePresence, WebSocketTransport } from "ably/modular";

export const Realtime = BaseRealtime;
export const options = {
  plugins: { Crypto, FetchRequest, RealtimePresence, WebSocketTransport },
  transports: ["web_socket"],
  disableConnectivityCheck: true,
};
