export { type ExerciseOptions, exerciseKeyProvider } from './exercise.ts'
