/** Ably's SDK, of which only what a chat needs is taken. */
import { BaseRealtime, FetchRequest, RealtimePresence, WebSocketTransport } from "ably/modular";

export const Realtime = BaseRealtime;
export const options = {
  plugins: { FetchRequest, RealtimePresence, WebSocketTransport },
  transports: ["web_socket"],
  disableConnectivityCheck: true,
};
