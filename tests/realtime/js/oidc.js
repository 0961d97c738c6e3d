// The pages' entry in a test: signs in, calls the service, renews, signs out, and reports what came of it.

import { finish, getToken, signIn, signOut } from "./sign_in/oidc.js";

const { base, oidc } = JSON.parse(document.getElementById("settings").textContent);
const tell = (what) => fetch(`${oidc.authority}/told`, { method: "POST", body: JSON.stringify(what) });
const call = async (token) => {
  const headers = { Authorization: `Bearer ${token}` };
  return (await fetch(`${base}/api/v1/counselings`, { headers })).status;
};

document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  tell({ violation: `${violatedDirective} ${blockedURI}` }),
);

try {
  if (location.pathname === `${base}/app/sign-in/done`) {
    const { token, returnTo } = await finish();
    const same = (await getToken()) === token;
    const renewed = await getToken(true);
    await tell({ returnTo, status: await call(token), same, renewed: await call(renewed), isNew: renewed !== token });
    sessionStorage.setItem("out", "yes");
    await signOut();
  } else if (sessionStorage.getItem("out")) {
    await tell({ out: await getToken() });
  } else {
    await signIn(await getToken() === null ? `${base}/app/chat/1?x=2` : "never");
  }
} catch (error) {
  await tell({ broken: String(error) });
}
