# An ASGI application behind a Function URL, streaming.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws      = { source = "hashicorp/aws", version = ">= 6.29" } # invoked_via_function_url
    archive  = { source = "hashicorp/archive", version = ">= 2.4" }
    external = { source = "hashicorp/external", version = ">= 2.3" }
  }
}

variable "name" {
  type    = string
  default = "lamella-example"
}

variable "public" {
  type        = bool
  default     = false
  description = "Whether everybody may call the URL; else only signed requests are answered"
}

# Where pip has installed the layer: pip install lamella-layer
data "external" "lamella_layer" {
  program = ["python3", "-c", "import json, lamella_layer; print(json.dumps({'zip': str(lamella_layer.path())}))"]
}

resource "aws_lambda_layer_version" "lamella" {
  layer_name               = "${var.name}-lamella"
  filename                 = data.external.lamella_layer.result.zip
  source_code_hash         = filebase64sha256(data.external.lamella_layer.result.zip)
  compatible_architectures = ["arm64", "x86_64"]
  compatible_runtimes      = ["python3.13"]
}

# Each plan builds and compiles; the same sources give the same bytes.
data "external" "build" {
  program     = ["sh", "-c", "./build.sh >&2 && echo '{}'"]
  working_dir = path.module
}

data "archive_file" "function" {
  depends_on  = [data.external.build]
  type        = "zip"
  source_dir  = "${path.module}/build"
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
  layers           = [aws_lambda_layer_version.lamella.arn]

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
  authorization_type = var.public ? "NONE" : "AWS_IAM"
  invoke_mode        = "RESPONSE_STREAM"
}

# A public URL needs both. The condition of the second lets nobody call the function but through its URL.
resource "aws_lambda_permission" "public_url" {
  count                  = var.public ? 1 : 0
  function_name          = aws_lambda_function.function.function_name
  statement_id_prefix    = "PublicUrl"
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "public_invoke" {
  count                    = var.public ? 1 : 0
  function_name            = aws_lambda_function.function.function_name
  statement_id_prefix      = "PublicInvoke"
  action                   = "lambda:InvokeFunction"
  principal                = "*"
  invoked_via_function_url = true
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
