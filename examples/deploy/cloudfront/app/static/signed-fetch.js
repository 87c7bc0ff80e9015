// fetch() with the hash of the body: CloudFront signs it, and Lambda compares it with the body.
export async function signedFetch(url, options = {}) {
    const request = new Request(new URL(url, globalThis.location?.href), options);
    const body = await request.clone().arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    request.headers.set("x-amz-content-sha256", hex);
    return fetch(request);
}
