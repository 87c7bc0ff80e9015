"""Signed requests to AWS over HTTP/1.1, where importing boto3 would cost a cold start."""
