# An ASGI application behind CloudFront, which alone may call its Function URL.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws     = { source = "hashicorp/aws", version = ">= 6.29" } # invoked_via_function_url
    archive = { source = "hashicorp/archive", version = ">= 2.4" }
  }
}

# Lambda@Edge lives in us-east-1, wherever the function is.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

variable "name" {
  type    = string
  default = "lamella-cloudfront"
}

data "archive_file" "function" {
  type        = "zip"
  source_dir  = "${path.module}/build" # build.sh makes it
  output_path = "${path.module}/function.zip"
}

resource "aws_lambda_function" "function" {
  function_name    = var.name
  filename         = data.archive_file.function.output_path
  source_code_hash = data.archive_file.function.output_base64sha256
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "lamella.serve.main:app"
  memory_size      = 512
  timeout          = 30
  role             = aws_iam_role.function.arn

  environment {
    variables = {
      ASGI_INVOKE_MODE          = "response_stream"
      ASGI_AUTHORIZATION_SOURCE = "x-viewer-authorization" # these two headers are of viewer-request.js
      ASGI_FORWARDED_HOST       = "x-forwarded-host"
    }
  }
}

resource "aws_lambda_function_url" "function" {
  function_name      = aws_lambda_function.function.function_name
  authorization_type = "AWS_IAM"
  invoke_mode        = "RESPONSE_STREAM"
}

# Both are needed since October 2025. Nobody but this distribution may call the URL, and the
# distribution may call nothing but the URL.
resource "aws_lambda_permission" "cloudfront_url" {
  function_name          = aws_lambda_function.function.function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "cloudfront.amazonaws.com"
  source_arn             = aws_cloudfront_distribution.distribution.arn
  function_url_auth_type = "AWS_IAM"
}

resource "aws_lambda_permission" "cloudfront_invoke" {
  function_name            = aws_lambda_function.function.function_name
  action                   = "lambda:InvokeFunction"
  principal                = "cloudfront.amazonaws.com"
  source_arn               = aws_cloudfront_distribution.distribution.arn
  invoked_via_function_url = true
}

resource "aws_cloudfront_origin_access_control" "function" {
  name                              = var.name
  origin_access_control_origin_type = "lambda"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_function" "viewer_request" {
  name    = "${var.name}-viewer-request"
  runtime = "cloudfront-js-2.0"
  comment = "What the signature and the Function URL's own host would take away, in headers"
  code    = file("${path.module}/viewer-request.js")
}

# For WWW-Authenticate only: leave it out, and its association below, where nothing sends that.
data "archive_file" "challenge" {
  type        = "zip"
  source_dir  = "${path.module}/challenge"
  output_path = "${path.module}/challenge.zip"
}

resource "aws_lambda_function" "challenge" {
  provider         = aws.us_east_1
  function_name    = "${var.name}-challenge"
  filename         = data.archive_file.challenge.output_path
  source_code_hash = data.archive_file.challenge.output_base64sha256
  runtime          = "python3.13"
  architectures    = ["x86_64"] # Lambda@Edge has no other
  handler          = "index.handler"
  publish          = true
  role             = aws_iam_role.function.arn
}

data "aws_cloudfront_cache_policy" "disabled" {
  name = "Managed-CachingDisabled"
}

data "aws_cloudfront_cache_policy" "optimized" {
  name = "Managed-CachingOptimized"
}

data "aws_cloudfront_origin_request_policy" "viewer" {
  name = "Managed-AllViewerExceptHostHeader"
}

resource "aws_cloudfront_distribution" "distribution" {
  enabled      = true
  http_version = "http2and3"

  origin {
    origin_id                = "function"
    domain_name              = split("/", aws_lambda_function_url.function.function_url)[2]
    origin_access_control_id = aws_cloudfront_origin_access_control.function.id

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 60 # seconds of silence
    }
  }

  default_cache_behavior {
    target_origin_id         = "function"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = data.aws_cloudfront_cache_policy.disabled.id
    origin_request_policy_id = data.aws_cloudfront_origin_request_policy.viewer.id

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.viewer_request.arn
    }

    lambda_function_association {
      event_type = "origin-response"
      lambda_arn = aws_lambda_function.challenge.qualified_arn
    }
  }

  ordered_cache_behavior {
    path_pattern           = "/static/*"
    target_origin_id       = "function"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    compress               = true
    cache_policy_id        = data.aws_cloudfront_cache_policy.optimized.id # no cookies, no query
  }

  restrictions {
    geo_restriction { restriction_type = "none" }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }
}

resource "aws_iam_role" "function" {
  name_prefix = "${var.name}-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"] }
    }]
  })
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

output "url" {
  value = "https://${aws_cloudfront_distribution.distribution.domain_name}/"
}
