"""Lambda@Edge on origin responses: gives WWW-Authenticate its name back.

A Function URL renames the header. A CloudFront function could not mend it: CloudFront calls none
for an origin's response with a status of 400 or more, and the header comes with a 401.
"""


def handler(event, context):
    """The response of the origin, whatever its status."""
    response = event["Records"][0]["cf"]["response"]
    renamed = response["headers"].pop("x-amzn-remapped-www-authenticate", None)
    if renamed:
        response["headers"]["www-authenticate"] = [
            {"key": "WWW-Authenticate", "value": header["value"]} for header in renamed
        ]
    return response
