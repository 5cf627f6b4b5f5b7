"""The Listen page: what an annotator has changed so far, heard with the dance before it is submitted."""
