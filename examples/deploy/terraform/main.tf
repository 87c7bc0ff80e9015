# An ASGI application behind a Function URL, streaming.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws     = { source = "hashicorp/aws", version = ">= 5.80" }
    archive = { source = "hashicorp/archive", version = ">= 2.4" }
  }
}

variable "lamella_layer_arn" {
  type        = string
  description = "The layer's ARN in the provider's region"
}

variable "name" {
  type    = string
  default = "lamella-example"
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
  handler          = "lamella.handler" # Lambda wants one; the bootstrap takes ASGI_APP
  memory_size      = 512
  timeout          = 30
  role             = aws_iam_role.function.arn
  layers           = [var.lamella_layer_arn]

  environment {
    variables = {
      AWS_LAMBDA_EXEC_WRAPPER = "/opt/bootstrap"
      ASGI_APP                = "main:app"
      ASGI_INVOKE_MODE        = "response_stream"
    }
  }
}

resource "aws_lambda_function_url" "function" {
  function_name      = aws_lambda_function.function.function_name
  authorization_type = "AWS_IAM" # NONE opens it to everybody
  invoke_mode        = "RESPONSE_STREAM"
}

resource "aws_iam_role" "function" {
  name_prefix = "${var.name}-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

output "url" {
  value = aws_lambda_function_url.function.function_url
}
