function handler(event) {
    var headers = event.request.headers;
    // CloudFront's own signature takes the place of authorization.
    if (headers.authorization) {
        headers['x-viewer-authorization'] = { value: headers.authorization.value };
    } else {
        delete headers['x-viewer-authorization'];
    }
    // The Function URL has a host of its own, and clients must not choose this one.
    headers['x-forwarded-host'] = { value: headers.host.value };
    return event.request;
}
