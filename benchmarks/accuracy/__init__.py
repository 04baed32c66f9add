"""What distillation brings on real graphs: accuracy of students, taught and alone, in percent."""
