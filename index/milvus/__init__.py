"""Libraries in Milvus: where one machine is not enough for searching."""
