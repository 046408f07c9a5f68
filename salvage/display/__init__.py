"""What a shown thing is: tables, figures, boxes and sentences, and how numbers are worded."""
