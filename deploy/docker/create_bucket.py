"""Make the bucket for images on the S3 server, if it is not there: `python -m deploy.docker.create_bucket`."""

import os
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from webapp.s3 import ask_for

NO_PLACE = "us-east-1"  # where S3 wants none named


def main() -> None:
    """Look for the bucket that S3_BUCKET names, and create it only where there is none: a key may be for one bucket.

    Ends with a sentence where it can be neither used nor created.
    """
    bucket, region = os.environ["S3_BUCKET"], os.environ.get("S3_REGION") or NO_PLACE
    try:
        client = boto3.client(
            "s3",
            endpoint_url=os.environ.get("S3_ENDPOINT_URL") or None,
            region_name=region,
            aws_access_key_id=os.environ.get("S3_ACCESS_KEY") or None,  # where there is none, the machine has a role
            aws_secret_access_key=os.environ.get("S3_SECRET_KEY") or None,
        )
        try:
            ask_for(bucket, client)
        except client.exceptions.NoSuchBucket:
            place: Any = {} if region == NO_PLACE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            client.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        code, done = error.response["Error"]["Code"], error.operation_name
        if done == "CreateBucket":
            sys.exit(f"There is no bucket {bucket}, and the S3 server does not let this key make it ({code}): make it.")
        sys.exit(
            f"The S3 server refuses the bucket {bucket} ({code}). Look at S3_BUCKET, S3_ENDPOINT_URL, S3_REGION, "
            "S3_ACCESS_KEY and S3_SECRET_KEY; the key has to be allowed to list the bucket."
        )
    except (BotoCoreError, ValueError) as error:
        sys.exit(f"The S3 server cannot be asked. Look at S3_ENDPOINT_URL and the keys. {error}")


if __name__ == "__main__":
    main()
