"""What a picture is: door, bands, no-data, georeference, radiometry, reader."""
