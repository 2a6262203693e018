"""Make the bucket for images on the S3 server, if it is not there: `python -m deploy.docker.create_bucket`."""

import os

import boto3
from botocore.exceptions import ClientError


def main() -> None:
    """Create the bucket that S3_BUCKET names. One that is ours already is no error."""
    client = boto3.client(
        "s3",
        endpoint_url=os.environ.get("S3_ENDPOINT_URL"),
        region_name=os.environ.get("S3_REGION", "us-east-1"),
        aws_access_key_id=os.environ["S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["S3_SECRET_KEY"],
    )
    try:
        client.create_bucket(Bucket=os.environ["S3_BUCKET"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise
        client.head_bucket(Bucket=os.environ["S3_BUCKET"])  # raises if it is somebody else's


if __name__ == "__main__":
    main()
